"""``python -m wssamnet.cli``"""

from wssamnet.cli import main

main()

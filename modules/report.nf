// One self-contained page, and its figures for a publication.
process REPORT {
    label 'light'

    input:
    path tables
    path evaluations, stageAs: 'evaluation?/*'
    path models, stageAs: 'model?/*'
    val options
    val package_digest

    output:
    path 'report.html', emit: page
    path 'figures', type: 'dir', emit: figures
    tuple val(task.process), eval('wssamnet --version'), topic: versions

    script:
    """
    wssamnet --threads ${task.cpus} report --tables ${tables} \\
        \$(printf -- '--evaluation %s ' evaluation*/*) \\
        \$(for model in model*/*; do [ ! -e "\$model" ] || printf -- '--model %s ' "\$model"; done) \\
        --out report.html --figures figures ${options}
    """

    stub:
    """
    echo stub > report.html
    mkdir figures
    """
}

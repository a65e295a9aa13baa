"""WSSAMNet: weakly supervised semantic attentive registration of brain MRI before and after surgery."""

__version__ = "0.1.0"

"""The config file: read, validated, and turned into values that cannot change."""

from surveil.config.document import ConfigError, Problem
from surveil.config.load import load
from surveil.config.rules import PersonSettings, RuleSettings
from surveil.config.secret import Secret, SecretError
from surveil.config.settings import Alerts, Assessor, Camera, Config, Detector, Mqtt, Storage, machine_name

__all__ = [
    "Alerts",
    "Assessor",
    "Camera",
    "Config",
    "ConfigError",
    "Detector",
    "Mqtt",
    "PersonSettings",
    "Problem",
    "RuleSettings",
    "Secret",
    "SecretError",
    "Storage",
    "load",
    "machine_name",
]

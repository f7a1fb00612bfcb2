"""The names that the series promises to explain: the estimator's parameters and the variables of the seed."""

PARAMETERS = [
    *("entry_point", "source_dir", "role", "framework_version", "model_dir", "py_version"),
    *("instance_type", "instance_count", "volume_size", "output_path", "hyperparameters"),
]
VARIABLES = [
    *("SM_MODEL_DIR", "SM_CHANNELS", "SM_CHANNEL_TRAINING", "SM_HPS", "SM_HP_EPOCHS", "SM_CURRENT_HOST"),
    *("SM_HOSTS", "SM_NUM_GPUS", "SM_NUM_NEURONS", "SM_NUM_CPUS", "SM_LOG_LEVEL", "SM_NETWORK_INTERFACE_NAME"),
    *("SM_USER_ARGS", "SM_INPUT_DIR", "SM_INPUT_CONFIG_DIR", "SM_RESOURCE_CONFIG", "SM_INPUT_DATA_CONFIG"),
    "SM_TRAINING_ENV",
]

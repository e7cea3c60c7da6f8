"""The statistics that rollouts, experiments and drift share. Numbers in, numbers out; each formula names its source."""

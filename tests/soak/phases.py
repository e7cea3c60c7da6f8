"""The phases, in the order in which they run. Quick to import: the help needs nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """`module`: of `tests.soak`, with a function `run(job)`. `seconds`: about how long it takes on two cores."""

    module: str
    title: str
    seconds: int


PHASES: Mapping[str, Phase] = {
    "mutants": Phase("mutants", "100,000 damaged files over HTTP", 150),
    "decoder": Phase("decoder", "100,000 damaged files straight through the decoder", 120),
    "nemesis": Phase("nemesis", "random faults under mixed load", 90),
    "idle": Phase("idle", "10,000 idle connections", 50),
    "expiry": Phase("expiry", "deadlines that pass while every worker is stopped", 20),
    "overload": Phase("overload", "ResNet-50 offered up to ten times what it can do", 100),
    "fronts": Phase("fronts", "a tiny model offered up to ten times what it can do, by one and two web processes", 110),
    "refusals": Phase("refusals", "what saying no costs", 30),
    "storm": Phase("storm", "clients that retry at once", 700),
    "changes": Phase("changes", "1,000 changes of version under load", 600),
    "lanes": Phase("lanes", "two models in bursts on the same cores", 60),
    "drift": Phase("drift", "simulated streams of pictures, with and without a shift", 120),
    "experiments": Phase("experiments", "simulated experiments, looked at 20 times each", 20),
    "restarts": Phase("restarts", "rolling restarts and kills behind nginx", 150),
    "rolling": Phase("rolling", "four replicas behind nginx, restarted one after the other", 90),
    "arm64": Phase("arm64", "the same answers on arm64, emulated", 120),
    "ray": Phase("ray_serve", "Ray Serve on two nodes: kills, overload, scaling", 240),
    "abuse": Phase("abuse", "hundreds of abusive requests: what they leave behind", 70),
    "storage": Phase("storage", "web and clean-up killed 50 times with 10,000 images stored", 240),
    "queues": Phase("queues", "1,000 messages of SQS and of Kafka through killed and rebalanced consumers", 200),
    "flood": Phase("flood", "ResNet-50: one key asks for fifty times its share beside ten that behave", 80),
    "clients": Phase("clients", "30,000 keys, and as many addresses: what the server keeps of them", 150),
    "protocols": Phase("protocols", "50,000 generated requests, 20,000 damaged gRPC messages, overload by gRPC", 900),
    "cold": Phase("cold", "AWS Lambda: the first answer of a function, and the next ones", 40),
    "hybrid": Phase("hybrid", "two clouds, a replica and an S3 server in each: one is killed", 60),
    "compose": Phase("compose", "the Compose stack of Debian's packages; a replica is killed", 240),
    "traces": Phase("traces", "20,000 images through nginx, all traced: each is one whole trace", 60),
    "steady": Phase("steady", "mixed load at half of what it can do", 130),
}

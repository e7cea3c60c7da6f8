"""The CloudFormation templates: created in a stand-in for AWS, in step with the settings, and with no more rights than
they need."""

import json
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
import yaml

from server.settings.topics import ServerSettings, UploadSettings
from tests.aws import aws

FOLDER = Path(__file__).parents[2] / "deploy" / "aws"
BIN = Path(sys.executable).parent
TEMPLATES = sorted(FOLDER.glob("*.yaml"))
CERTIFICATE = "arn:aws:acm:us-east-1:000000000000:certificate/c"
IMAGE = f"000000000000.dkr.ecr.us-east-1.amazonaws.com/tureen@sha256:{'0' * 64}"
CREATED = {  # the stand-in knows neither application auto scaling nor capacity providers
    "tureen-network": ("network.yaml", {"Gpu": "yes"}),
    "tureen-storage": ("storage.yaml", {}),
    "tureen-service": ("service.yaml", {"Image": IMAGE, "Certificate": CERTIFICATE}),
    "tureen-lambda": ("lambda.yaml", {"Image": IMAGE}),
}  # fmt: skip


class Loader(yaml.SafeLoader):
    """Reads `!Ref X` and the like as they are: what they name."""


Loader.add_multi_constructor(
    "!",
    lambda loader, suffix, node: {
        f"!{suffix}": {
            yaml.ScalarNode: loader.construct_scalar,
            yaml.SequenceNode: lambda one: loader.construct_sequence(one, deep=True),
            yaml.MappingNode: lambda one: loader.construct_mapping(one, deep=True),
        }[type(node)](node)
    },
)


def resources(path, kind=""):
    """The resources of one type, by name."""
    found = yaml.load(path.read_text(), Loader)["Resources"]
    return {name: one for name, one in found.items() if kind in ("", one["Type"])}


def pairs(listed):
    """Attributes as AWS lists them."""
    return {one["Key"]: one["Value"] for one in listed}


@pytest.fixture(scope="module")
def cloud():
    """A cloud with all stacks that it can create."""
    with aws() as cloud:
        formation = boto3.client("cloudformation", endpoint_url=cloud.endpoint)
        for name, (template, parameters) in CREATED.items():
            formation.create_stack(
                StackName=name, TemplateBody=(FOLDER / template).read_text(), Capabilities=["CAPABILITY_IAM"],
                Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
            )  # fmt: skip
            formation.get_waiter("stack_create_complete").wait(
                StackName=name, WaiterConfig={"Delay": 0.2, "MaxAttempts": 200}
            )
        cloud.formation = formation
        yield cloud


def outputs(cloud, stack):
    """What a stack tells others."""
    (told,) = cloud.formation.describe_stacks(StackName=stack)["Stacks"]
    return {one["OutputKey"]: one["OutputValue"] for one in told["Outputs"]}


def test_templates_are_clean():
    """By the linter that knows the types of all resources; a warning counts."""
    done = subprocess.run([BIN / "cfn-lint", *TEMPLATES], capture_output=True, text=True)

    assert (0, "") == (done.returncode, done.stdout + done.stderr)


def test_stacks_are_created(cloud):
    """All of their resources, and what one exports the next finds."""
    for stack, (template, _) in CREATED.items():
        events = cloud.formation.describe_stack_resources(StackName=stack)["StackResources"]
        assert {"CREATE_COMPLETE"} == {one["ResourceStatus"] for one in events}, stack
        assert len(resources(FOLDER / template)) >= len(events) > 5


def test_object_below_in_is_told_to_the_queue_and_no_other(cloud):
    """What is kept is not asked for again."""
    told = outputs(cloud, "tureen-storage")
    queue = cloud.sqs.get_queue_url(QueueName=told["QueueName"])["QueueUrl"]
    for key in ("kept/1.jpg", "in/1.jpg"):
        cloud.s3.put_object(Bucket=told["Bucket"], Key=key, Body=b"-")
    bodies = []
    while not any("Records" in body for body in bodies):  # a test event comes first
        told = cloud.sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5, MaxNumberOfMessages=10)
        bodies += [json.loads(one["Body"]) for one in told.get("Messages", ())]
    keys = [record["s3"]["object"]["key"] for body in bodies for record in body.get("Records", ())]

    assert ["in/1.jpg"] == keys


def test_function_answers_its_queue_in_part(cloud):
    """And one that is invoked has less time than a message is hidden for."""
    function = boto3.client("lambda", endpoint_url=cloud.endpoint)
    (mapping,) = function.list_event_source_mappings()["EventSourceMappings"]
    timeout_s = function.get_function(FunctionName=outputs(cloud, "tureen-lambda")["Function"])["Configuration"][
        "Timeout"
    ]
    queue = cloud.sqs.get_queue_url(QueueName=outputs(cloud, "tureen-storage")["QueueName"])["QueueUrl"]
    hidden = cloud.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout"])["Attributes"]

    assert ["ReportBatchItemFailures"] == mapping["FunctionResponseTypes"]
    assert 6 * timeout_s <= int(hidden["VisibilityTimeout"])


def test_load_balancer_is_in_step_with_the_settings():
    """It closes idle connections first, asks for readiness, and waits for uploads before a task is told to end."""
    server, upload, service = ServerSettings(), UploadSettings(), FOLDER / "service.yaml"
    balancer = pairs(resources(service)["Balancer"]["Properties"]["LoadBalancerAttributes"])
    targets = resources(service)["Targets"]["Properties"]
    attributes = pairs(targets["TargetGroupAttributes"])
    tureen = resources(service)["Task"]["Properties"]["ContainerDefinitions"][0]

    assert float(balancer["idle_timeout.timeout_seconds"]) < server.keep_alive
    assert "/readyz" == targets["HealthCheckPath"]
    assert float(attributes["deregistration_delay.timeout_seconds"]) > upload.upload_timeout
    assert server.drain_delay + server.shutdown_timeout < tureen["StopTimeout"]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_roles_name_what_they_may_do(template):
    """No wildcard for an action, none for a resource, and only services assume them."""
    for name, role in resources(template, "AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", ()):
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                assert not [action for action in actions if "*" in action], name
                assert "*" != statement["Resource"], name
        (trust,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        assert ["Service"] == [*trust["Principal"]], name


def test_tasks_are_confined():
    """Not root, nothing to write to but /tmp, no capability, no address of their own on the internet."""
    service = resources(FOLDER / "service.yaml")
    tureen = service["Task"]["Properties"]["ContainerDefinitions"][0]
    network = service["Service"]["Properties"]["NetworkConfiguration"]["AwsvpcConfiguration"]

    assert ("10001:10001", True) == (tureen["User"], tureen["ReadonlyRootFilesystem"])
    assert (["ALL"], ["/tmp"]) == (
        tureen["LinuxParameters"]["Capabilities"]["Drop"], [one["ContainerPath"] for one in tureen["MountPoints"]],
    )  # fmt: skip
    assert "DISABLED" == network["AssignPublicIp"]


def test_what_is_kept_is_encrypted_and_private():
    """The bucket, both queues and the cache; and nobody speaks to the bucket without TLS."""
    storage = resources(FOLDER / "storage.yaml")
    bucket, cache = storage["Bucket"]["Properties"], storage["Cache"]["Properties"]
    (policy,) = storage["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]

    assert all(bucket["PublicAccessBlockConfiguration"].values())
    assert bucket["BucketEncryption"]
    assert all(storage[name]["Properties"]["SqsManagedSseEnabled"] for name in ("Queue", "DeadLetters"))
    assert cache["AtRestEncryptionEnabled"]
    assert cache["TransitEncryptionEnabled"]
    assert ("Deny", {"Bool": {"aws:SecureTransport": "false"}}) == (policy["Effect"], policy["Condition"])

"""What the stand-in for Terraform's AWS provider makes of a resource: its computed attributes, and,
where there is an emulator, the calls that make it there."""

import json
import os
import uuid

REGION, ACCOUNT = "us-east-1", "000000000000"
ENDPOINT = os.environ.get("AWS_ENDPOINT_URL")


def arn(service, resource, region=REGION, account=ACCOUNT):
    return f"arn:aws:{service}:{region}:{account}:{resource}"


# Attributes that a resource has once it is made: its id and its ARN.
NAMES = {
    "aws_cloudwatch_dashboard": lambda s: (s["dashboard_name"], None),
    "aws_cloudwatch_log_destination": lambda s: (s["name"], arn("logs", f"destination:{s['name']}")),
    "aws_cloudwatch_log_destination_policy": lambda s: (s["destination_name"], None),
    "aws_cloudwatch_log_group": lambda s: (s["name"], arn("logs", f"log-group:{s['name']}")),
    "aws_cloudwatch_log_subscription_filter": lambda s: (s["name"], None),
    "aws_cloudwatch_metric_alarm": lambda s: (s["alarm_name"], arn("cloudwatch", f"alarm:{s['alarm_name']}")),
    "aws_dynamodb_table": lambda s: (s["name"], arn("dynamodb", f"table/{s['name']}")),
    "aws_iam_role": lambda s: (s["name"], arn("iam", f"role/{s['name']}", region="")),
    "aws_iam_role_policy": lambda s: (f"{s['role']}:{s['name']}", None),
    "aws_kinesis_stream": lambda s: (arn("kinesis", f"stream/{s['name']}"),) * 2,
    "aws_lambda_event_source_mapping": lambda s: (str(uuid.uuid4()), None),
    "aws_lambda_function": lambda s: (s["function_name"], arn("lambda", f"function:{s['function_name']}")),
    "aws_s3_bucket": lambda s: (s["bucket_prefix"] + "1", f"arn:aws:s3:::{s['bucket_prefix']}1"),
    "aws_sns_topic": lambda s: (arn("sns", s["name"]),) * 2,
    "aws_sns_topic_policy": lambda s: (s["arn"], s["arn"]),
    "aws_sqs_queue": lambda s: (f"{ENDPOINT or 'https://sqs.us-east-1.amazonaws.com'}/{ACCOUNT}/{s['name']}", arn("sqs", s["name"])),
}


def computed(kind, state):
    """The attributes of a resource that only its making tells."""
    if kind == "aws_kms_key":
        key = str(uuid.uuid5(uuid.NAMESPACE_URL, state["description"]))
        return {"id": key, "key_id": key, "arn": arn("kms", f"key/{key}")}
    if kind not in NAMES:
        return {"id": state["bucket"]}  # what is set on a bucket
    name, its_arn = NAMES[kind](state)
    attributes = {"id": name, "arn": its_arn}
    if kind == "aws_sqs_queue":
        attributes["url"] = name
    if kind == "aws_s3_bucket":
        attributes["bucket"] = name
    return attributes


def client(service):
    import boto3

    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=ENDPOINT,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def present(**values):
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}


def make(kind, s):
    """Makes a resource on the emulator; returns what turned out otherwise than on paper."""
    return MAKERS[kind](s) or {}


def kms_key(s):
    made = client("kms").create_key(Description=s["description"], Policy=s["policy"])["KeyMetadata"]
    client("kms").enable_key_rotation(KeyId=made["KeyId"])
    return {"id": made["KeyId"], "key_id": made["KeyId"], "arn": made["Arn"]}


def kinesis_stream(s):
    kinesis, name = client("kinesis"), s["name"]
    mode = s["stream_mode_details"][0]["stream_mode"]
    kinesis.create_stream(
        StreamName=name,
        StreamModeDetails={"StreamMode": mode},
        **present(ShardCount=s["shard_count"]),
    )
    kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    kinesis.increase_stream_retention_period(
        StreamName=name, RetentionPeriodHours=s["retention_period"]
    )
    kinesis.start_stream_encryption(StreamName=name, EncryptionType="KMS", KeyId=s["kms_key_id"])


def iam_role(s):
    client("iam").create_role(RoleName=s["name"], AssumeRolePolicyDocument=s["assume_role_policy"])


def iam_role_policy(s):
    client("iam").put_role_policy(
        RoleName=s["role"], PolicyName=s["name"], PolicyDocument=s["policy"]
    )


def sns_topic(s):
    attributes = {"DisplayName": s["display_name"], "KmsMasterKeyId": s["kms_master_key_id"]}
    client("sns").create_topic(Name=s["name"], Attributes=attributes)


def sns_topic_policy(s):
    client("sns").set_topic_attributes(
        TopicArn=s["arn"], AttributeName="Policy", AttributeValue=s["policy"]
    )


def sqs_queue(s):
    attributes = {
        "MessageRetentionPeriod": str(s["message_retention_seconds"]),
        "KmsMasterKeyId": s["kms_master_key_id"],
    }
    url = client("sqs").create_queue(QueueName=s["name"], Attributes=attributes)["QueueUrl"]
    return {"id": url, "url": url}


def dynamodb_table(s):
    dynamodb, name = client("dynamodb"), s["name"]
    dynamodb.create_table(
        TableName=name,
        BillingMode=s["billing_mode"],
        KeySchema=[{"AttributeName": s["hash_key"], "KeyType": "HASH"}],
        AttributeDefinitions=[
            {"AttributeName": it["name"], "AttributeType": it["type"]} for it in s["attribute"]
        ],
        DeletionProtectionEnabled=s["deletion_protection_enabled"],
    )
    ttl = s["ttl"][0]
    dynamodb.update_time_to_live(
        TableName=name,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": ttl["attribute_name"]},
    )


def log_group(s):
    client("logs").create_log_group(logGroupName=s["name"])
    client("logs").put_retention_policy(
        logGroupName=s["name"], retentionInDays=s["retention_in_days"]
    )


def subscription_filter(s):
    client("logs").put_subscription_filter(
        logGroupName=s["log_group_name"],
        filterName=s["name"],
        filterPattern=s["filter_pattern"],
        destinationArn=s["destination_arn"],
        roleArn=s["role_arn"],
    )


def lambda_function(s):
    with open(s["filename"], "rb") as package:
        code = package.read()
    client("lambda").create_function(
        FunctionName=s["function_name"],
        Role=s["role"],
        Runtime=s["runtime"],
        Handler=s["handler"],
        Architectures=s["architectures"],
        Timeout=s["timeout"],
        MemorySize=s["memory_size"],
        Code={"ZipFile": code},
        Environment={"Variables": s["environment"][0]["variables"]},
    )


def event_source_mapping(s):
    made = client("lambda").create_event_source_mapping(
        EventSourceArn=s["event_source_arn"],
        FunctionName=s["function_name"],
        StartingPosition=s["starting_position"],
        BatchSize=s["batch_size"],
        MaximumBatchingWindowInSeconds=s["maximum_batching_window_in_seconds"],
        ParallelizationFactor=s["parallelization_factor"],
        BisectBatchOnFunctionError=s["bisect_batch_on_function_error"],
        FunctionResponseTypes=s["function_response_types"],
    )
    return {"id": made["UUID"], "uuid": made["UUID"]}


def metric_alarm(s):
    client("cloudwatch").put_metric_alarm(
        AlarmName=s["alarm_name"],
        AlarmDescription=s["alarm_description"],
        Namespace=s["namespace"],
        MetricName=s["metric_name"],
        Dimensions=[{"Name": name, "Value": value} for name, value in s["dimensions"].items()],
        Statistic=s["statistic"],
        Period=s["period"],
        EvaluationPeriods=s["evaluation_periods"],
        Threshold=s["threshold"],
        ComparisonOperator=s["comparison_operator"],
        TreatMissingData=s["treat_missing_data"],
        AlarmActions=s["alarm_actions"],
    )


def dashboard(s):
    json.loads(s["dashboard_body"])
    client("cloudwatch").put_dashboard(
        DashboardName=s["dashboard_name"], DashboardBody=s["dashboard_body"]
    )


MAKERS = {
    "aws_cloudwatch_dashboard": dashboard,
    "aws_cloudwatch_log_group": log_group,
    "aws_cloudwatch_log_subscription_filter": subscription_filter,
    "aws_cloudwatch_metric_alarm": metric_alarm,
    "aws_dynamodb_table": dynamodb_table,
    "aws_iam_role": iam_role,
    "aws_iam_role_policy": iam_role_policy,
    "aws_kinesis_stream": kinesis_stream,
    "aws_kms_key": kms_key,
    "aws_lambda_event_source_mapping": event_source_mapping,
    "aws_lambda_function": lambda_function,
    "aws_sns_topic": sns_topic,
    "aws_sns_topic_policy": sns_topic_policy,
    "aws_sqs_queue": sqs_queue,
}

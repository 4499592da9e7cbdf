"""One call of an AWS client: its arguments from standard input, its answer on standard output.

    python aws.py SERVICE CALL
"""

import json
import sys

import boto3


def plain(value):
    return value.read().decode() if hasattr(value, "read") else str(value)


service, call = sys.argv[1:]
answer = getattr(boto3.client(service), call)(**json.load(sys.stdin))
json.dump(answer, sys.stdout, default=plain)

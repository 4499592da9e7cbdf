"""The SAM template with its parameters filled in: what CloudFormation would be asked to make.

Reads {"parameters": {…}, "names": {logical id: {attribute or "Ref": value}}} from standard input;
writes the resources whose conditions hold, as JSON.

    python template.py TEMPLATE
"""

import json
import re
import sys

import yaml

NOTHING = object()
PSEUDO = {
    "AWS::AccountId": "000000000000",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::StackName": "rolewatch",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::NoValue": NOTHING,
}


def tagged(loader, tag, node):
    """`!Sub x` is `{"Fn::Sub": "x"}`, and so on."""
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        if tag == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


yaml.SafeLoader.add_multi_constructor("!", tagged)


def is_kept(resource):
    """Whether it stays when the stack goes, and when another one takes its place."""
    policies = {resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")}
    return policies <= {"Retain", "RetainExceptOnCreate"}


class Template:
    def __init__(self, template, parameters, names):
        self.template, self.names = template, names
        self.values = dict(PSEUDO)
        for name, it in template["Parameters"].items():
            value = parameters.get(name, it["Default"])
            is_list = it["Type"] == "CommaDelimitedList"
            self.values[name] = [part for part in value.split(",")] if is_list else value

    def holds(self, condition):
        return self.filled(self.template["Conditions"][condition])

    def ref(self, name):
        return self.values[name] if name in self.values else self.of(name, "Ref")

    def of(self, name, attribute):
        return self.names.get(name, {}).get(attribute, f"<{name}.{attribute}>")

    def sub(self, text, more):
        def value(match):
            name = match.group(1)
            if name in more:
                return str(more[name])
            if "." in name:
                resource, attribute = name.split(".", 1)
                return self.of(resource, attribute)
            return str(self.ref(name))

        return re.sub(r"\$\{([\w:.]+)\}", value, text)

    def function(self, name, value):
        if name == "Ref":
            return self.ref(value)
        if name == "Condition":
            return self.holds(value)
        if name == "Fn::If":
            return self.filled(value[1] if self.holds(value[0]) else value[2])
        value = self.filled(value)
        match name:
            case "Fn::GetAtt":
                return self.of(*value)
            case "Fn::Sub":
                text, more = value if isinstance(value, list) else (value, {})
                return self.sub(text, more)
            case "Fn::Join":
                return value[0].join(value[1])
            case "Fn::Select":
                return value[1][int(value[0])]
            case "Fn::Split":
                return value[1].split(value[0])
            case "Fn::FindInMap":
                return self.template["Mappings"][value[0]][value[1]][value[2]]
            case "Fn::Equals":
                return str(value[0]) == str(value[1])
            case "Fn::Not":
                return not value[0]
            case "Fn::And":
                return all(value)
            case "Fn::Or":
                return any(value)
        raise ValueError(f"{name} is not known here")

    def filled(self, value):
        if isinstance(value, list):
            return [it for it in map(self.filled, value) if it is not NOTHING]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, inner), = value.items()
            if name.startswith("Fn::") or name == "Ref" or name == "Condition" and isinstance(inner, str):
                return self.function(name, inner)
        filled = {key: self.filled(it) for key, it in value.items()}
        return {key: it for key, it in filled.items() if it is not NOTHING}

    def resources(self):
        return {
            name: {"Type": it["Type"], "Properties": self.filled(it["Properties"]), "Kept": is_kept(it)}
            for name, it in self.template["Resources"].items()
            if "Condition" not in it or self.holds(it["Condition"])
        }


with open(sys.argv[1]) as file:
    template = Template(yaml.safe_load(file), **json.load(sys.stdin))
json.dump(template.resources(), sys.stdout)

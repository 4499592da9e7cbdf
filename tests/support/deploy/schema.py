"""What the AWS provider of Terraform takes, as far as these tests need it.

The provider itself is on no package index, but bindings that were generated from its schema are.
They say of every attribute whether it is required, optional or computed, and of what type it is.

    python schema.py WHEEL OUT NAME...      NAME as the bindings name a folder: sns-topic
"""

import io
import json
import re
import sys
import tarfile
import zipfile

FIELD = re.compile(
    r'^\s*(\w+): \{\s*value: .*?,\s*isBlock: (true|false),\s*type: "(\w+)",'
    r'\s*storageClassType: "(\w+)",',
    re.S | re.M,
)
FLAGS = re.compile(
    r"// (\w+) - computed: (\w+), optional: (\w+), required: (\w+)\n"
    r"(.*?)(?=// \w+ - computed:|// =====|\Z)",
    re.S,
)
SIMPLE = {"string": "string", "number": "number", "boolean": "bool", "any": "string"}
GETTER = re.compile(r"get(String|Number|Boolean)(List|Map)?Attribute\(|get(List)Attribute\(")


def pieces(text, opening):
    """Every class or function that begins and ends at the margin, by its name."""
    return {m.group(1): m.group() for m in re.finditer(opening + r".*?^\}", text, re.M | re.S)}


def type_of(stored, collection):
    for ending, kind in (("List", "list"), ("Map", "map")):
        if stored.endswith(ending):
            inner = SIMPLE.get(stored[: -len(ending)], "string")
            return ["set" if collection == "set" else kind, inner]
    return SIMPLE.get(stored, "string")


def type_of_getter(getter):
    found = GETTER.search(getter)
    if not found:
        return ["map", "string"] if "StringMap" in getter else None
    kind, many, strings = found.groups()
    if strings:
        return ["set" if "Fn.tolist" in getter else "list", "string"]
    inner = SIMPLE[kind.lower()]
    return [many.lower(), inner] if many else inner


class Bindings:
    def __init__(self, code, types):
        self.classes = pieces(code, r"^class (\w+) extends")
        self.writers = pieces(code, r"^function (\w+)ToHclTerraform\(")
        self.interfaces = pieces(types, r"^export interface (\w+)")

    def block(self, name, fields, interface):
        attributes, blocks = {}, {}
        flags = {f[0]: f for f in FLAGS.findall(self.classes.get(name, ""))}
        for key, is_block, collection, stored in fields:
            _, computed, optional, required, _ = flags.get(key, (0, "false", "true", "false", 0))
            if is_block == "false":
                attributes[key] = {
                    "type": type_of(stored, collection),
                    "computed": computed == "true",
                    "optional": optional == "true" and required != "true",
                    "required": required == "true",
                }
                continue
            inner = stored.removesuffix("List")
            writer = self.writers.get(inner[0].lower() + inner[1:], "")
            camel = re.sub(r"_(.)", lambda m: m.group(1).upper(), key)
            declared = re.search(rf"readonly {camel}\??: ([^;]*);", self.interfaces.get(interface, ""))
            single = collection == "struct"
            many = single or (declared and "[]" in declared.group(1))
            blocks[key] = {
                "nesting": "single" if single else collection,
                "least": int(required == "true" and not single),
                "most": 0 if many else 1,
                "block": self.block(inner + "OutputReference", FIELD.findall(writer), inner),
            }
        for key, computed, optional, _, getter in flags.values():
            known = key in attributes or key in blocks
            if not known and computed == "true" and type_of_getter(getter):
                attributes[key] = {
                    "type": type_of_getter(getter),
                    "computed": True,
                    "optional": optional == "true",
                    "required": False,
                }
        return {"attributes": attributes, "blocks": blocks}


def main(wheel, out, *names):
    with zipfile.ZipFile(wheel) as bindings:
        inner = next(name for name in bindings.namelist() if name.endswith(".jsii.tgz"))
        archive = io.BytesIO(bindings.read(inner))
    wanted = {f"package/lib/{name}/index.{kind}" for name in names for kind in ("js", "d.ts")}
    found = {}
    with tarfile.open(fileobj=archive) as files:
        for member in files:
            if member.name in wanted:
                found[member.name] = files.extractfile(member).read().decode()
    schema = {"provider": {}, "resources": {}, "data": {}}
    for name in names:
        code = found[f"package/lib/{name}/index.js"].split("//# sourceMappingURL")[0]
        bindings = Bindings(code, found[f"package/lib/{name}/index.d.ts"])
        main_class, kind = re.search(
            r"^class (\w+) extends cdktn\.Terraform(Resource|DataSource|Provider)", code, re.M
        ).groups()
        body = bindings.classes[main_class]
        fields = FIELD.findall(body[body.index("synthesizeHclAttributes") :])
        block = bindings.block(main_class, fields, main_class + "Config")
        if kind == "Provider":
            schema["provider"] = block
        else:
            type_name = re.search(r'tfResourceType = "(\w+)"', body).group(1)
            schema["resources" if kind == "Resource" else "data"][type_name] = block
    with open(out, "w") as file:
        json.dump(schema, file)


if __name__ == "__main__":
    main(*sys.argv[1:])

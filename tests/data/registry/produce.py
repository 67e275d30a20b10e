"""Writes `records.json`: records as confluent-kafka's own serializers make them, and what the registry then keeps.

    scripts/registry start
    pip install 'confluent-kafka[avro,protobuf,schemaregistry]' grpcio-tools
    python tests/data/registry/produce.py http://127.0.0.1:PORT/apis/ccompat/v7
"""

import datetime
import decimal
import importlib
import json
import pathlib
import sys
import tempfile
import urllib.request

from confluent_kafka.schema_registry import (
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    topic_subject_name_strategy,
)
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from grpc_tools import protoc

here = pathlib.Path(__file__).parent
url = sys.argv[1]
client = SchemaRegistryClient({"url": url})
# The default asks a part of Confluent's API that others do not have.
strategy = {"subject.name.strategy": topic_subject_name_strategy}


def kept(id):
    with urllib.request.urlopen(f"{url}/schemas/ids/{id}") as answer:
        return json.load(answer)


def record(name, value, expected):
    return {
        "name": name,
        "bytes": value.hex(),
        "kept": kept(int.from_bytes(value[1:5], "big")),
        "json": expected,
    }


def avro(version, subject, value, expected):
    text = (here / f"person.{version}.avsc").read_text()
    schema = Schema(text, "AVRO", [SchemaReference("shop.Address", "shop.Address", 1)])
    serializer = AvroSerializer(client, schema, conf=strategy)
    bytes = serializer(value, SerializationContext(subject, MessageField.VALUE))
    return record(f"avro {version}", bytes, expected)


client.register_schema("shop.Address", Schema((here / "address.avsc").read_text(), "AVRO"))
home = {"street": "Orchard Road", "zip": None}
records = [
    avro(1, "people", {"id": 2**62, "home": home}, {"id": 2**62, "home": home}),
    avro(
        2,
        "people",
        {
            "id": -1,
            "born": datetime.date(1969, 12, 31),
            "seen": datetime.datetime(2024, 5, 1, 12, 0, 0, 1, datetime.timezone.utc),
            "owes": decimal.Decimal("-123.45"),
            "home": {"street": "é\"\n", "zip": "1"},
        },
        {
            "id": -1,
            "born": "1969-12-31",
            "seen": "2024-05-01T12:00:00.000001Z",
            "owes": "-123.45",
            "home": {"street": "é\"\n", "zip": "1"},
        },
    ),
]

with tempfile.TemporaryDirectory() as generated:
    builtin = pathlib.Path(protoc.__file__).parent / "_proto"
    arguments = ["", f"-I{here}", f"-I{builtin}", f"--python_out={generated}", "stay.proto", "money.proto"]
    assert protoc.main(arguments) == 0
    sys.path.insert(0, generated)
    stay = importlib.import_module("stay_pb2")

message = stay.Stay(guest_id=2**62, note="", status=1, picture=b"abc")
message.total.minor = 12345
message.booked_at.FromJsonString("2024-05-01T12:00:00.5Z")
message.nights.add(number=1).price.currency = "SGD"
for name, message, expected in [
    (
        "stay",
        message,
        {
            "guestId": 2**62,
            "note": "",
            "total": {"minor": 12345, "currency": ""},
            "booked_at": "2024-05-01T12:00:00.500Z",
            "nights": [{"number": 1, "price": {"minor": 0, "currency": "SGD"}}],
            "status": "BOOKED",
            "picture": "YWJj",
        },
    ),
    ("guest", stay.Guest(name="Ann"), {"name": "Ann"}),
    ("night", stay.Stay.Night(number=2), {"number": 2}),
]:
    serializer = ProtobufSerializer(type(message), client, strategy | {"use.deprecated.format": False})
    bytes = serializer(message, SerializationContext(f"stays-{name}", MessageField.VALUE))
    records.append(record(f"protobuf {name}", bytes, expected))

(here / "records.json").write_text(json.dumps(records, indent=1, ensure_ascii=False) + "\n")

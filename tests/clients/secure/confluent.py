"""confluent-kafka (today's librdkafka) against a broker with an authorizer, by each way to say who one is: what a rule
allows is done, what none allows is refused; rules and users by its administration. Arguments as those of kafkajs.js. Ends
with "ok"."""
import sys
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient,
                                   ResourcePatternType, ResourceType, ScramCredentialInfo, ScramMechanism,
                                   UserScramCredentialDeletion, UserScramCredentialUpsertion)

folder, sasl, ssl, topic = sys.argv[1:5]
records = 200


def text(name):
    with open(f"{folder}/{name}") as file:
        return file.read().strip()


def login(mechanism, user="bob", password=None):
    common = {"bootstrap.servers": sasl, "security.protocol": "SASL_SSL", "sasl.mechanism": mechanism,
              "ssl.ca.location": f"{folder}/ca.pem"}
    if mechanism == "OAUTHBEARER":
        return {**common, "oauth_cb": lambda _: (text("token"), time.time() + 3000)}
    return {**common, "sasl.username": user, "sasl.password": password or text("password")}


def last_error(client, seconds=20):
    """What a client that is not let in says of it."""
    end = time.time() + seconds
    while time.time() < end and not said:
        client.poll(0.2)
    return said[-1].code() if said else None


ways = {mechanism: login(mechanism) for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN", "OAUTHBEARER"]}
ways["certificate"] = {
    "bootstrap.servers": ssl, "security.protocol": "SSL", "ssl.ca.location": f"{folder}/ca.pem",
    "ssl.certificate.location": f"{folder}/user.pem", "ssl.key.location": f"{folder}/user.key",
}
for name, way in ways.items():
    done, failed = [], []
    producer = Producer({**way, "enable.idempotence": True})
    for n in range(records):
        producer.produce(topic, f"{name} {n}".encode(),
                         on_delivery=lambda error, _: (failed if error else done).append(error))
    assert producer.flush(60) == 0 and not failed and len(done) == records, (name, failed[:3])
    producer.produce(f"others-{topic}", b"x", on_delivery=lambda error, _: failed.append(error))
    producer.flush(60)
    assert failed and failed[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED, (name, failed)
    consumer = Consumer({**way, "group.id": f"{topic}-{name}", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    seen = 0
    while seen < records:
        message = consumer.poll(60)
        assert message is not None and message.error() is None, (name, seen, message and message.error())
        seen += message.value().startswith(name.encode() + b" ")
    consumer.close()

# What the super user may do: rules and users by librdkafka's own calls.
admin = AdminClient(login("SCRAM-SHA-256", "admin"))
rule = AclBinding(ResourceType.TOPIC, f"by-librdkafka-{topic}", ResourcePatternType.LITERAL, "User:eve", "*",
                  AclOperation.READ, AclPermissionType.ALLOW)
admin.create_acls([rule])[rule].result(30)
all_of_it = AclBindingFilter(ResourceType.TOPIC, f"by-librdkafka-{topic}", ResourcePatternType.LITERAL, None, None,
                             AclOperation.ANY, AclPermissionType.ANY)
assert admin.describe_acls(all_of_it).result(30) == [rule]
info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096)
made = admin.alter_user_scram_credentials([UserScramCredentialUpsertion("eve", info, b"eves-password", b"a-salt-of-16-byt")])
made["eve"].result(30)
told = admin.describe_user_scram_credentials(["eve"])["eve"].result(30)
assert [one.iterations for one in told.scram_credential_infos] == [4096], told
eve = AdminClient(login("SCRAM-SHA-256", "eve", "eves-password"))
assert topic not in eve.list_topics(timeout=30).topics, "she may look at nothing"
try:
    # librdkafka 2.16 gives no rules where the answer is an error; what counts is that none is told.
    assert eve.describe_acls(all_of_it).result(30) == []
except KafkaException as error:
    assert error.args[0].code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED, error
try:
    eve.create_acls([rule])[rule].result(30)
    raise SystemExit("a rule was made by one who may not")
except KafkaException as error:
    assert error.args[0].code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED, error
assert admin.delete_acls([all_of_it])[all_of_it].result(30) == [rule]
assert admin.describe_acls(all_of_it).result(30) == []
admin.alter_user_scram_credentials([UserScramCredentialDeletion("eve", ScramMechanism.SCRAM_SHA_256)])["eve"].result(30)
for refused in [login("SCRAM-SHA-256", "eve", "eves-password"), login("SCRAM-SHA-512", password="not-the-password")]:
    said = []
    stranger = Producer({**refused, "error_cb": said.append})
    assert last_error(stranger) in (KafkaError._AUTHENTICATION, KafkaError._ALL_BROKERS_DOWN), said
print("ok")

"""kafka-python against a broker with an authorizer, by each way to say who one is: what a rule allows is done, what none
allows is refused. Arguments as those of kafkajs.js. Ends with "ok"."""
import sys

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError, TopicAuthorizationFailedError
from kafka.net.sasl.oauth import AbstractTokenProvider

folder, sasl, ssl, topic = sys.argv[1:5]
records = 200


def text(name):
    with open(f"{folder}/{name}") as file:
        return file.read().strip()


class Token(AbstractTokenProvider):
    def token(self):
        return text("token")


def login(mechanism, password=None):
    common = {"bootstrap_servers": sasl, "security_protocol": "SASL_SSL", "sasl_mechanism": mechanism}
    if mechanism == "OAUTHBEARER":
        return {**common, "sasl_oauth_token_provider": Token()}
    return {**common, "sasl_plain_username": "bob", "sasl_plain_password": password or text("password")}


ways = {mechanism: login(mechanism) for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN", "OAUTHBEARER"]}
ways["certificate"] = {"bootstrap_servers": ssl, "security_protocol": "SSL",
                       "ssl_certfile": f"{folder}/user.pem", "ssl_keyfile": f"{folder}/user.key"}
for name, way in ways.items():
    way["ssl_cafile"] = f"{folder}/ca.pem"
    producer = KafkaProducer(**way, acks="all")
    sent = [producer.send(topic, f"{name} {n}".encode()) for n in range(records)]
    for future in sent:
        future.get(timeout=60)
    try:
        producer.send(f"others-{topic}", b"x").get(timeout=30)
        raise SystemExit(f"{name}: what no rule allows was done")
    except TopicAuthorizationFailedError:
        pass
    producer.close()
    consumer = KafkaConsumer(topic, **way, group_id=f"{topic}-{name}", auto_offset_reset="earliest")
    seen = 0
    while seen < records:
        polled = consumer.poll(timeout_ms=60000)
        assert polled, f"{name}: {seen} of {records} came"
        seen += sum(one.value.startswith(name.encode() + b" ") for batch in polled.values() for one in batch)
    consumer.close()
try:
    KafkaProducer(**login("SCRAM-SHA-512", "not-the-password"), ssl_cafile=f"{folder}/ca.pem", bootstrap_timeout_ms=5000)
    raise SystemExit("a wrong password was let in")
except KafkaError:
    pass
print("ok")

"""A plugin for kafka-python's own SASL and SSL tests: the broker that they would start is one that runs already. Its listeners
are in SECURED_SASL and SECURED_SSL (HOST:PORT), its user in SECURED_USER and SECURED_PASSWORD, and ca-cert, the authority's
file, is in the folder SECURED_CA."""
import os

import test.integration.fixtures as fixtures
from kafka import KafkaAdminClient


class Running:
    """What the tests ask of a broker that they started."""

    def __init__(self, transport="PLAINTEXT", sasl_mechanism=None, partitions=2, **_):
        self.host, port = os.environ["SECURED_SASL" if sasl_mechanism else "SECURED_SSL"].rsplit(":", 1)
        # They would take SASL_PLAINTEXT.
        self.port, self.transport, self.sasl_mechanism = int(port), "SASL_SSL" if sasl_mechanism else transport, sasl_mechanism
        self.sasl_enabled, self.ssl_enabled = sasl_mechanism is not None, True
        self.broker_user, self.broker_password = os.environ["SECURED_USER"], os.environ["SECURED_PASSWORD"]
        self.ssl_dir, self.partitions, self.replicas = os.environ["SECURED_CA"], partitions, 1
        self.zookeeper, self.child = None, self

    @classmethod
    def instance(cls, _, **broker):
        return cls(**broker)

    def start(self):
        pass

    def close(self):
        pass

    def dump_logs(self):
        pass

    def bootstrap_server(self):
        return f"{self.host}:{self.port}"

    def get_topic_names(self):
        with KafkaAdminClient(**self._enrich_client_params({})) as admin:
            return admin.list_topics()

    _enrich_client_params = fixtures.KafkaFixture._enrich_client_params


fixtures.KafkaFixture = Running

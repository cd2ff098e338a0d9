"""A real Kafka of one node, which is broker and controller at once. Standard library only."""

import subprocess

from tests.stack.jars import jars
from tests.stack.server import Server, ServerError

CLUSTER = "b3RlbGhlYWx0aC1rYWZrYQ"  # any 16 bytes
SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{controller}
listeners=PLAINTEXT://{broker},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{broker}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
log.cleaner.dedupe.buffer.size=2097152
"""
JVM = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
LOG = "-Dorg.slf4j.simpleLogger"


class Kafka(Server):
    """Topics are made by who needs them; a restart keeps them."""

    program = "kafka"
    port_names = ("broker", "controller")

    def java(self) -> list[str]:
        found = jars()
        if found is None:
            raise ServerError("kafka is not there; fetch it once: python3 tests/stack/build.py")
        return [str(found.java), *JVM, "-cp", found.class_path]

    def command(self) -> list[str]:
        settings = self.folder / "kafka.properties"
        data = self.folder / "data"
        addresses = {name: self.address(name) for name in self.port_names}
        settings.write_text(SETTINGS.format(data=data, **addresses))
        if not (data / "meta.properties").exists():
            form = [*self.java(), "kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(settings)]
            done = subprocess.run(form, capture_output=True, text=True, check=False)
            if done.returncode:
                raise ServerError(f"kafka could not make its folder:\n{done.stdout}{done.stderr}")
        levels = (f"{LOG}.defaultLogLevel=warn", f"{LOG}.log.kafka.server.KafkaRaftServer=info")
        return [*self.java(), *levels, "kafka.Kafka", str(settings)]

    @property
    def url(self) -> str:
        """What clients call its bootstrap server."""
        return self.address("broker")

    def ready(self) -> bool:
        return "Kafka Server started" in self.tail()

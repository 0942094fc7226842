import java.time.Duration;
import java.util.*;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

/** What the cases of this folder do with topics, each in one Java machine: see main. */
public class Topics {
    static String bootstrap;

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        switch (args[1]) {
            case "create" -> create(Arrays.copyOfRange(args, 2, args.length));
            case "produce" -> produce(args[2], Long.parseLong(args[3]), Long.parseLong(args[4]), Long.parseLong(args[5]));
            case "fill" -> fill(args[2], Integer.parseInt(args[3]));
            case "read" -> read(args[2], args[3].equals("long") ? new LongDeserializer() : new StringDeserializer());
            default -> throw new IllegalArgumentException(args[1]);
        }
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    static Map<String, Object> settings() {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", bootstrap);
        return settings;
    }

    /** create TOPIC PARTITIONS COPIES [KEY=VALUE...]. */
    static void create(String[] args) throws Exception {
        Map<String, String> configs = Arrays.stream(args).skip(3).map(pair -> pair.split("=", 2))
            .collect(Collectors.toMap(pair -> pair[0], pair -> pair[1]));
        try (Admin admin = Admin.create(settings())) {
            NewTopic topic = new NewTopic(args[0], Integer.parseInt(args[1]), Short.parseShort(args[2])).configs(configs);
            admin.createTopics(List.of(topic)).all().get(60, TimeUnit.SECONDS);
        }
    }

    static KafkaProducer<String, byte[]> producer() {
        Map<String, Object> settings = settings();
        settings.put("linger.ms", 5);
        settings.put("delivery.timeout.ms", 300_000);
        return new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer());
    }

    /** produce TOPIC FROM TO PER_SECOND: numbers, each once and in order, whose keys are their last two digits. */
    static void produce(String topic, long from, long to, long perSecond) throws Exception {
        long began = System.nanoTime();
        List<Throwable> refused = Collections.synchronizedList(new ArrayList<>());
        try (KafkaProducer<String, byte[]> producer = producer()) {
            for (long number = from; number <= to; number++) {
                String key = String.format("k%02d", number % 100);
                producer.send(new ProducerRecord<>(topic, key, Long.toString(number).getBytes()), (sent, error) -> {
                    if (error != null) refused.add(error);
                });
                long due = began + (number - from) * 1_000_000_000L / perSecond;
                if (number % 100 == 0) TimeUnit.NANOSECONDS.sleep(due - System.nanoTime());
            }
        }
        if (!refused.isEmpty()) throw new IllegalStateException(refused.size() + " were refused", refused.get(0));
    }

    /** fill TOPIC MEGABYTES: so much in each of three partitions, by few keys: what compaction finds nearly nothing in. */
    static void fill(String topic, int megabytes) throws Exception {
        byte[] value = new byte[100_000];
        new Random(1).nextBytes(value);
        List<java.util.concurrent.Future<?>> sent = new ArrayList<>();
        try (KafkaProducer<String, byte[]> producer = producer()) {
            for (int number = 0; number < megabytes * 10; number++)
                for (int partition = 0; partition < 3; partition++)
                    sent.add(producer.send(new ProducerRecord<>(topic, partition, "k" + number % 10, value)));
        }
        for (java.util.concurrent.Future<?> one : sent) one.get();
    }

    /** read TOPIC long|string: key and value of all that was committed when it began, partition by partition. */
    static void read(String topic, Deserializer<?> values) {
        Map<String, Object> settings = settings();
        settings.put("isolation.level", "read_committed");
        StringBuilder out = new StringBuilder();
        try (KafkaConsumer<String, ?> consumer = new KafkaConsumer<>(settings, new StringDeserializer(), values)) {
            for (var info : consumer.partitionsFor(topic)) {
                TopicPartition partition = new TopicPartition(topic, info.partition());
                consumer.assign(List.of(partition));
                consumer.seekToBeginning(List.of(partition));
                long end = consumer.endOffsets(List.of(partition)).get(partition);
                while (consumer.position(partition) < end)
                    for (var record : consumer.poll(Duration.ofMillis(200)))
                        out.append(record.key()).append('\t').append(record.value()).append('\n');
            }
        }
        System.out.print(out);
    }
}

import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.processor.StateRestoreListener;

/** Counts the records of each key of `input`, exactly once, and writes each new count to `output`. */
public class Count {
    public static void main(String[] args) throws Exception {
        Properties settings = new Properties();
        settings.put("application.id", "counter");
        settings.put("bootstrap.servers", args[0]);
        settings.put("state.dir", args[1]);
        settings.put("processing.guarantee", "exactly_once_v2");
        settings.put("replication.factor", args[2]);
        settings.put("commit.interval.ms", "200");
        settings.put("default.key.serde", Serdes.String().getClass());
        settings.put("default.value.serde", Serdes.String().getClass());
        settings.put("auto.offset.reset", "earliest");
        settings.put("session.timeout.ms", "6000");
        settings.put("heartbeat.interval.ms", "1500");
        // What was killed holds up readers of what is committed for so long, at most.
        settings.put("producer.transaction.timeout.ms", "6000");
        settings.put("topic.min.cleanable.dirty.ratio", "0.1");
        StreamsBuilder builder = new StreamsBuilder();
        builder.<String, String>stream("input").groupByKey().count(Materialized.as("counts")).toStream()
            .to("output", Produced.with(Serdes.String(), Serdes.Long()));
        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        streams.setUncaughtExceptionHandler(error -> StreamThreadExceptionResponse.REPLACE_THREAD);
        streams.setGlobalStateRestoreListener(new StateRestoreListener() {
            public void onRestoreStart(TopicPartition of, String store, long from, long to) {}
            public void onBatchRestored(TopicPartition of, String store, long to, long records) {}
            public void onRestoreEnd(TopicPartition of, String store, long records) {
                System.out.println("restored " + records + " of " + of);
            }
        });
        streams.start();
        new CountDownLatch(1).await();
    }
}

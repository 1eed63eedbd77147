import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.message.FetchResponseData;
import org.apache.kafka.common.message.ProduceRequestData;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.SimpleRecord;

/** Reads lines "MESSAGE VERSION JSON" and prints "MESSAGE VERSION HEX", as Kafka's own client serialises them. */
public class Vectors {
    public static void main(String[] arguments) throws Exception {
        var input = new BufferedReader(new InputStreamReader(System.in));
        var mapper = new ObjectMapper();
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] words = line.split(" ", 3);
            short version = Short.parseShort(words[1]);
            var converter = Class.forName("org.apache.kafka.common.message." + words[0] + "DataJsonConverter");
            var message = (Message) converter.getMethod("read", JsonNode.class, short.class).invoke(null, mapper.readTree(words[2]), version);
            addRecords(message);
            ByteBuffer bytes = MessageUtil.toByteBufferAccessor(message, version).buffer();
            System.out.println(words[0] + " " + version + " " + HexFormat.of().formatHex(bytes.array(), bytes.arrayOffset(), bytes.limit()));
        }
    }

    /** JSON has no record batches: every second partition gets one. */
    private static void addRecords(Message message) {
        int at = 0;
        if (message instanceof ProduceRequestData produce)
            for (var topic : produce.topicData())
                for (var partition : topic.partitionData()) if (at++ % 2 == 0) partition.setRecords(batch());
        if (message instanceof FetchResponseData fetch)
            for (var topic : fetch.responses())
                for (var partition : topic.partitions()) partition.setRecords(at++ % 2 == 0 ? batch() : MemoryRecords.EMPTY);
    }

    private static MemoryRecords batch() {
        return MemoryRecords.withRecords(Compression.NONE, new SimpleRecord(1_700_000_000_000L, "key".getBytes(), "value".getBytes()));
    }
}

// SPDX-License-Identifier: Apache-2.0
// The Java client on the other side of a test: it sends, reads, consumes and asks, and prints
// one line of JSON for everything that happens. One source for the jars of RocketMQ 4.9.7 and
// 5.5.0: types whose package moved in between are never named (var), or found by reflection.

import com.alibaba.fastjson.JSON;
import com.alibaba.fastjson.JSONArray;
import com.alibaba.fastjson.JSONObject;
import com.alibaba.fastjson.serializer.SerializerFeature;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.zip.CRC32;
import org.apache.rocketmq.acl.common.AclClientRPCHook;
import org.apache.rocketmq.acl.common.SessionCredentials;
import org.apache.rocketmq.client.consumer.DefaultMQPullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.listener.MessageListenerOrderly;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.client.exception.MQClientException;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.selector.SelectMessageQueueByHash;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageClientExt;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.RPCHook;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

public final class Peer {
    static final String USAGE = """
        usage: Peer --namesrv HOST:PORT [--acl KEY:SECRET] [--tls true] COMMAND [--name value ...]
               Peer --namesrv HOST:PORT serve      commands as JSON objects on stdin, one a line

          send     --topic T [--count N] [--batch N] [--size BYTES | --text S | --body BASE64]
                   [--keys K] [--tags T] [--props JSON] [--delay LEVEL] [--delayMs MS]
                   [--shard KEY | --queue N [--broker B]] [--compress ZLIB|LZ4|ZSTD]
                   [--compressOver BYTES] [--oneway true] [--quiet true] [--group G]
                   [--tx commit|rollback|unknown [--check commit|rollback|unknown]]
                   [--messages JSON-ARRAY]         {i} in keys, text, shard becomes the number
          dump     --topic T [--bodies false]      every message of every queue
          pull     --topic T --queue N --offset N [--broker B] [--max N] [--tags E] [--block MS]
          consume  --group G --topic T [--tags E | --sql E] [--orderly true] [--model BROADCASTING]
                   [--refuse TIMES [--refuseKeys JSON-ARRAY] [--refuseDelay LEVEL]]
          stop     --name ID                       a consumer that serve started
          offsets  --topic T [--group G]
          admin    --call NAME ...                 see admin() below
        """;
    static final PrintStream OUT =
        new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);

    final String namesrv;
    final RPCHook hook;
    final String unit = Long.toString(ProcessHandle.current().pid());
    final AtomicInteger instances = new AtomicInteger();
    final Map<String, DefaultMQProducer> producers = new HashMap<>();
    final Map<String, String> checks = new ConcurrentHashMap<>();
    final Map<String, Consumer> consumers = new ConcurrentHashMap<>();
    final Map<String, Set<MessageQueue>> pulled = new HashMap<>(); // queues of topics pulled so far
    DefaultMQPullConsumer puller;
    DefaultMQAdminExt admin;

    Peer(String namesrv, String acl) {
        this.namesrv = namesrv;
        int colon = acl == null ? -1 : acl.indexOf(':');
        hook = acl == null ? null
            : new AclClientRPCHook(new SessionCredentials(acl.substring(0, colon),
                acl.substring(colon + 1)));
    }

    // ---- lines of JSON ----

    static JSONObject event(Object id, String name) {
        JSONObject e = new JSONObject(true);
        e.put("event", name);
        if (id != null) {
            e.put("id", id);
        }
        return e;
    }

    static String json(Object value) {
        return JSON.toJSONString(value, SerializerFeature.WriteNonStringKeyAsString,
            SerializerFeature.DisableCircularReferenceDetect, SerializerFeature.WriteMapNullValue);
    }

    static void print(JSONObject e) {
        String line = json(e);
        synchronized (OUT) {
            OUT.println(line);
        }
    }

    static JSONObject error(Object id, Throwable t) {
        JSONObject e = event(id, "error");
        e.put("class", t.getClass().getSimpleName());
        if (t instanceof MQBrokerException) {
            e.put("code", ((MQBrokerException) t).getResponseCode());
        } else if (t instanceof MQClientException) {
            e.put("code", ((MQClientException) t).getResponseCode());
        }
        e.put("message", String.valueOf(t.getMessage()));
        return e;
    }

    static long crc(byte[] bytes) {
        CRC32 c = new CRC32();
        c.update(bytes);
        return c.getValue();
    }

    static JSONObject message(Object id, String name, MessageExt m, boolean bodies) {
        JSONObject e = event(id, name);
        byte[] body = m.getBody() == null ? new byte[0] : m.getBody();
        e.put("topic", m.getTopic());
        e.put("broker", m.getBrokerName());
        e.put("queue", m.getQueueId());
        e.put("offset", m.getQueueOffset());
        e.put("msgId", m.getMsgId());
        e.put("offsetMsgId", m instanceof MessageClientExt
            ? ((MessageClientExt) m).getOffsetMsgId() : null);
        e.put("keys", m.getKeys());
        e.put("tags", m.getTags());
        e.put("props", m.getProperties());
        if (bodies) {
            e.put("body", Base64.getEncoder().encodeToString(body));
        }
        e.put("size", body.length);
        e.put("crc", crc(body));
        e.put("storedCrc", m.getBodyCRC() & 0xffffffffL);
        e.put("sysFlag", m.getSysFlag());
        e.put("flag", m.getFlag());
        e.put("born", m.getBornTimestamp());
        e.put("stored", m.getStoreTimestamp());
        e.put("reconsume", m.getReconsumeTimes());
        return e;
    }

    // ---- send ----

    // Byte j of the body of message i. Python computes the same.
    static byte[] pattern(int i, int size) {
        byte[] b = new byte[size];
        for (int j = 0; j < size; j++) {
            b[j] = (byte) (i * 31 + j * 7 + (j >> 8));
        }
        return b;
    }

    static String number(Object text, int i) {
        return text == null ? null : text.toString().replace("{i}", Integer.toString(i));
    }

    static byte[] body(JSONObject s, int i) {
        if (s.containsKey("body")) {
            return Base64.getDecoder().decode(s.getString("body"));
        }
        if (s.containsKey("size")) {
            int size = s.getIntValue("size");
            if (s.getBooleanValue("random")) {
                byte[] b = new byte[size];
                new Random(i).nextBytes(b);
                return b;
            }
            return pattern(i, size);
        }
        return number(s.getOrDefault("text", "message {i}"), i).getBytes(StandardCharsets.UTF_8);
    }

    static Message make(JSONObject s, int i) throws Exception {
        Message m = new Message(s.getString("topic"), body(s, i));
        if (s.containsKey("tags")) {
            m.setTags(s.getString("tags"));
        }
        if (s.containsKey("keys")) {
            m.setKeys(number(s.get("keys"), i));
        }
        if (s.containsKey("flag")) {
            m.setFlag(s.getIntValue("flag"));
        }
        if (s.containsKey("delay")) {
            m.setDelayTimeLevel(s.getIntValue("delay"));
        }
        if (s.containsKey("delayMs")) { // RocketMQ 5
            Message.class.getMethod("setDelayTimeMs", long.class).invoke(m, s.getLong("delayMs"));
        }
        if (s.containsKey("wait")) {
            m.setWaitStoreMsgOK(s.getBooleanValue("wait"));
        }
        JSONObject props = s.getJSONObject("props");
        if (props != null) {
            for (String k : props.keySet()) { // past the client's checks, as other clients can
                MessageAccessor.putProperty(m, k, number(props.getString(k), i));
            }
        }
        return m;
    }

    DefaultMQProducer producer(JSONObject c) throws MQClientException {
        String group = c.containsKey("group") ? c.getString("group") : "PEER_PRODUCER";
        String compress = c.containsKey("compress") ? c.getString("compress") : "ZLIB";
        int over = c.containsKey("compressOver") ? c.getIntValue("compressOver") : 4096;
        boolean tx = c.containsKey("tx");
        int timeout = c.containsKey("timeout") ? c.getIntValue("timeout") : 10000;
        int retries = c.containsKey("retries") ? c.getIntValue("retries") : 2;
        String key = String.join(" ", group, compress, "" + over, "" + tx, "" + timeout, "" + retries);
        DefaultMQProducer p = producers.get(key);
        if (p != null) {
            return p;
        }
        System.setProperty("rocketmq.message.compressType", compress);
        if (tx) {
            TransactionMQProducer t = new TransactionMQProducer(group, hook);
            t.setTransactionListener(new Transactions());
            p = t;
        } else {
            p = new DefaultMQProducer(group, hook);
        }
        p.setNamesrvAddr(namesrv);
        p.setInstanceName(unit + "-" + instances.incrementAndGet());
        p.setCompressMsgBodyOverHowmuch(over);
        p.setMaxMessageSize(64 << 20); // let the broker say no
        p.setSendMsgTimeout(timeout);
        p.setRetryTimesWhenSendFailed(retries);
        p.start();
        producers.put(key, p);
        return p;
    }

    static LocalTransactionState state(String name) {
        switch (name) {
            case "commit": return LocalTransactionState.COMMIT_MESSAGE;
            case "rollback": return LocalTransactionState.ROLLBACK_MESSAGE;
            default: return LocalTransactionState.UNKNOW;
        }
    }

    final class Transactions implements TransactionListener {
        @Override
        public LocalTransactionState executeLocalTransaction(Message m, Object arg) {
            return (LocalTransactionState) arg;
        }

        @Override
        public LocalTransactionState checkLocalTransaction(MessageExt m) {
            String answer = checks.getOrDefault(String.valueOf(m.getKeys()), "commit");
            JSONObject e = message(null, "check", m, true);
            e.put("answer", answer);
            print(e);
            return state(answer);
        }
    }

    static JSONObject sent(Object id, SendResult r, int count) {
        JSONObject e = event(id, "sent");
        e.put("status", r.getSendStatus().name());
        e.put("count", count);
        e.put("msgId", r.getMsgId());
        e.put("offsetMsgId", r.getOffsetMsgId());
        if (r.getMessageQueue() != null) {
            e.put("broker", r.getMessageQueue().getBrokerName());
            e.put("queue", r.getMessageQueue().getQueueId());
        }
        e.put("offset", r.getQueueOffset());
        e.put("transactionId", r.getTransactionId());
        return e;
    }

    MessageQueue target(DefaultMQProducer p, JSONObject s) throws MQClientException {
        int queue = s.getIntValue("queue");
        for (MessageQueue q : p.fetchPublishMessageQueues(s.getString("topic"))) {
            String broker = s.getString("broker");
            if (q.getQueueId() == queue && (broker == null || broker.equals(q.getBrokerName()))) {
                return q;
            }
        }
        throw new MQClientException(-1, "no queue " + queue + " to write to");
    }

    SendResult one(DefaultMQProducer p, JSONObject s, List<Message> ms, int i) throws Exception {
        Message m = ms.get(0);
        if (s.containsKey("tx")) {
            if (s.containsKey("check")) {
                checks.put(String.valueOf(m.getKeys()), s.getString("check"));
            }
            return p.sendMessageInTransaction(m, state(s.getString("tx")));
        }
        if (s.getBooleanValue("oneway")) {
            p.sendOneway(m);
            return null;
        }
        if (ms.size() > 1 || s.containsKey("batch")) {
            return s.containsKey("queue") ? p.send(ms, target(p, s)) : p.send(ms);
        }
        if (s.containsKey("shard")) {
            return p.send(m, new SelectMessageQueueByHash(), number(s.get("shard"), i));
        }
        return s.containsKey("queue") ? p.send(m, target(p, s)) : p.send(m);
    }

    void send(Object id, JSONObject c) throws Exception {
        JSONArray specs = c.getJSONArray("messages");
        if (specs == null) {
            specs = new JSONArray(Collections.singletonList(new JSONObject()));
        }
        boolean quiet = c.getBooleanValue("quiet");
        int good = 0;
        int bad = 0;
        for (int k = 0; k < specs.size(); k++) {
            JSONObject s = new JSONObject(new LinkedHashMap<>(c));
            s.remove("messages");
            s.putAll(specs.getJSONObject(k));
            int count = s.containsKey("count") ? s.getIntValue("count") : 1;
            int per = s.containsKey("batch") ? s.getIntValue("batch") : 1;
            int first = s.getIntValue("first");
            for (int i = 0; i < count; i += per) {
                List<Message> ms = new ArrayList<>();
                try {
                    for (int j = i; j < Math.min(count, i + per); j++) {
                        ms.add(make(s, first + j));
                    }
                    SendResult r = one(producer(s), s, ms, first + i);
                    good += ms.size();
                    if (r != null && !quiet) {
                        print(sent(id, r, ms.size()));
                    }
                } catch (Exception t) {
                    bad += ms.size();
                    print(error(id, t));
                }
            }
        }
        JSONObject e = event(id, "total");
        e.put("sent", good);
        e.put("failed", bad);
        print(e);
    }

    // ---- read ----

    synchronized DefaultMQPullConsumer puller() throws MQClientException {
        if (puller == null) {
            puller = new DefaultMQPullConsumer("PEER_PULL", hook);
            puller.setNamesrvAddr(namesrv);
            puller.setInstanceName(unit + "-" + instances.incrementAndGet());
            puller.start();
        }
        return puller;
    }

    void dump(Object id, JSONObject c) throws Exception {
        DefaultMQPullConsumer p = puller();
        boolean bodies = !Boolean.FALSE.equals(c.getBoolean("bodies"));
        int count = 0;
        for (MessageQueue q : new TreeSet<>(p.fetchSubscribeMessageQueues(c.getString("topic")))) {
            long at = p.minOffset(q);
            long end = p.maxOffset(q);
            while (at < end) {
                PullResult r = p.pull(q, "*", at, 32);
                if (r.getMsgFoundList() != null) {
                    for (MessageExt m : r.getMsgFoundList()) {
                        print(message(id, "message", m, bodies));
                        count++;
                    }
                }
                if (r.getNextBeginOffset() <= at) {
                    throw new IllegalStateException("no progress at " + q + " offset " + at + ": " + r);
                }
                at = r.getNextBeginOffset();
            }
        }
        JSONObject e = event(id, "total");
        e.put("count", count);
        print(e);
    }

    void pull(Object id, JSONObject c) throws Exception {
        DefaultMQPullConsumer p = puller();
        String topic = c.getString("topic");
        if (!pulled.containsKey(topic)) {
            pulled.put(topic, p.fetchSubscribeMessageQueues(topic));
        }
        MessageQueue queue = null;
        for (MessageQueue q : pulled.get(topic)) {
            if (q.getQueueId() == c.getIntValue("queue")
                && (c.getString("broker") == null || c.getString("broker").equals(q.getBrokerName()))) {
                queue = q;
            }
        }
        int max = c.containsKey("max") ? c.getIntValue("max") : 32;
        String tags = c.containsKey("tags") ? c.getString("tags") : "*";
        PullResult r;
        if (c.containsKey("block")) {
            p.setBrokerSuspendMaxTimeMillis(c.getLongValue("block"));
            r = p.pullBlockIfNotFound(queue, tags, c.getLongValue("offset"), max);
        } else {
            r = p.pull(queue, tags, c.getLongValue("offset"), max);
        }
        if (r.getMsgFoundList() != null) {
            for (MessageExt m : r.getMsgFoundList()) {
                print(message(id, "message", m, true));
            }
        }
        JSONObject e = event(id, "pulled");
        e.put("status", r.getPullStatus().name());
        e.put("next", r.getNextBeginOffset());
        e.put("min", r.getMinOffset());
        e.put("max", r.getMaxOffset());
        print(e);
    }

    // ---- consume ----

    final class Consumer extends Thread {
        final Object id;
        final DefaultMQPushConsumer consumer;
        final Map<String, Integer> refused = new ConcurrentHashMap<>();
        final int refuse;
        final int delay;
        final Set<String> refuseKeys = new HashSet<>();
        final boolean bodies;
        volatile boolean ended;

        Consumer(Object id, JSONObject c) throws Exception {
            this.id = id;
            setDaemon(true);
            refuse = c.getIntValue("refuse");
            delay = c.getIntValue("refuseDelay");
            bodies = !Boolean.FALSE.equals(c.getBoolean("bodies"));
            if (c.getJSONArray("refuseKeys") != null) {
                c.getJSONArray("refuseKeys").forEach(k -> refuseKeys.add(k.toString()));
            }
            consumer = new DefaultMQPushConsumer(c.getString("group"), hook,
                new AllocateMessageQueueAveragely());
            consumer.setNamesrvAddr(namesrv);
            consumer.setInstanceName(unit + "-" + instances.incrementAndGet());
            consumer.setConsumeFromWhere(ConsumeFromWhere.valueOf(
                c.containsKey("from") ? c.getString("from") : "CONSUME_FROM_FIRST_OFFSET"));
            if (c.containsKey("threads")) {
                consumer.setConsumeThreadMin(c.getIntValue("threads"));
                consumer.setConsumeThreadMax(c.getIntValue("threads"));
            }
            if (c.containsKey("maxReconsume")) {
                consumer.setMaxReconsumeTimes(c.getIntValue("maxReconsume"));
            }
            if (c.containsKey("model")) {
                setEnum(consumer, "setMessageModel", c.getString("model"));
            }
            for (String topic : c.getString("topic").split(",")) {
                if (c.containsKey("sql")) {
                    consumer.subscribe(topic, MessageSelector.bySql(c.getString("sql")));
                } else {
                    consumer.subscribe(topic, c.containsKey("tags") ? c.getString("tags") : "*");
                }
            }
            if (c.getBooleanValue("orderly")) {
                consumer.registerMessageListener((MessageListenerOrderly) (ms, x) ->
                    take(ms) ? ConsumeOrderlyStatus.SUCCESS
                        : ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT);
            } else {
                consumer.registerMessageListener((MessageListenerConcurrently) (ms, x) -> {
                    x.setDelayLevelWhenNextConsume(delay);
                    return take(ms) ? ConsumeConcurrentlyStatus.CONSUME_SUCCESS
                        : ConsumeConcurrentlyStatus.RECONSUME_LATER;
                });
            }
        }

        boolean take(List<MessageExt> ms) {
            boolean good = true;
            for (MessageExt m : ms) {
                boolean chosen = refuseKeys.isEmpty() || refuseKeys.contains(m.getKeys());
                String key = m.getKeys() + " " + m.getMsgId();
                boolean no = refuse > 0 && chosen && refused.merge(key, 1, Integer::sum) <= refuse;
                JSONObject e = message(id, no ? "refused" : "message", m, bodies);
                e.put("thread", Thread.currentThread().getName());
                print(e);
                good &= !no;
            }
            return good;
        }

        // The queues it has, whenever they change.
        @Override
        public void run() {
            List<String> last = null;
            while (!ended) {
                Set<String> queues = new TreeSet<>();
                for (MessageQueue q : consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl()
                    .getProcessQueueTable().keySet()) {
                    queues.add(q.getTopic() + " " + q.getBrokerName() + " " + q.getQueueId());
                }
                List<String> now = new ArrayList<>(queues);
                if (!now.equals(last)) {
                    JSONObject e = event(id, "queues");
                    e.put("queues", now);
                    print(e);
                    last = now;
                }
                try {
                    Thread.sleep(50);
                } catch (InterruptedException x) {
                    return;
                }
            }
        }

        void end() {
            ended = true;
            consumer.shutdown();
            print(event(id, "stopped"));
        }
    }

    // Sets an enum whose package differs between RocketMQ 4 and 5.
    @SuppressWarnings({"unchecked", "rawtypes"})
    static void setEnum(Object on, String setter, String value) throws Exception {
        for (var m : on.getClass().getMethods()) {
            if (m.getName().equals(setter)) {
                m.invoke(on, Enum.valueOf((Class<Enum>) m.getParameterTypes()[0], value));
            }
        }
    }

    void consume(Object id, JSONObject c) throws Exception {
        Consumer k = new Consumer(id, c);
        k.consumer.start();
        consumers.put(String.valueOf(id), k);
        JSONObject e = event(id, "started");
        e.put("clientId", k.consumer.buildMQClientId());
        print(e);
        k.start();
    }

    void stop(String name) {
        Consumer k = consumers.remove(name);
        if (k == null) {
            throw new IllegalArgumentException("no consumer " + name + "; there are " + consumers.keySet());
        }
        k.end();
    }

    // ---- ask ----

    synchronized DefaultMQAdminExt admin() throws MQClientException {
        if (admin == null) {
            admin = new DefaultMQAdminExt(hook, 5000);
            admin.setNamesrvAddr(namesrv);
            admin.setInstanceName(unit + "-" + instances.incrementAndGet());
            admin.start();
        }
        return admin;
    }

    void offsets(Object id, JSONObject c) throws Exception {
        String topic = c.getString("topic");
        Map<MessageQueue, JSONObject> rows = new HashMap<>();
        admin().examineTopicStats(topic).getOffsetTable().forEach((q, o) -> {
            JSONObject e = event(id, "offset");
            e.put("broker", q.getBrokerName());
            e.put("queue", q.getQueueId());
            e.put("min", o.getMinOffset());
            e.put("max", o.getMaxOffset());
            rows.put(q, e);
        });
        if (c.containsKey("group")) {
            admin().examineConsumeStats(c.getString("group"), topic).getOffsetTable()
                .forEach((q, o) -> {
                    if (rows.containsKey(q)) {
                        rows.get(q).put("committed", o.getConsumerOffset());
                    }
                });
        }
        for (MessageQueue q : new TreeSet<>(rows.keySet())) {
            print(rows.get(q));
        }
    }

    Object admin(JSONObject c) throws Exception {
        DefaultMQAdminExt a = admin();
        String topic = c.getString("topic");
        String group = c.getString("group");
        String addr = c.getString("addr");
        String client = c.getString("clientId");
        switch (c.getString("call")) {
            case "clusterInfo": return a.examineBrokerClusterInfo();
            case "route": return a.examineTopicRouteInfo(topic);
            case "topicStats": return a.examineTopicStats(topic);
            case "topicList": return a.fetchAllTopicList();
            case "topicGroups": return a.queryTopicConsumeByWho(topic);
            case "topicConfig": return a.examineTopicConfig(addr, topic);
            case "consumeStats":
                return topic == null ? a.examineConsumeStats(group) : a.examineConsumeStats(group, topic);
            case "consumerConnection": return a.examineConsumerConnectionInfo(group);
            case "producerConnection": return a.examineProducerConnectionInfo(group, topic);
            case "runningInfo": return a.getConsumerRunningInfo(group, client, false);
            case "consumeDirectly":
                return a.consumeMessageDirectly(group, client, topic, c.getString("msgId"));
            case "consumerStatus": return a.getConsumeStatus(topic, group, client);
            case "resetOffset":
                return a.resetOffsetByTimestamp(topic, group, c.getLongValue("timestamp"), true);
            case "brokerConfig": return a.getBrokerConfig(addr);
            case "updateBrokerConfig": {
                Properties changed = new Properties();
                changed.setProperty(c.getString("key"), c.getString("value"));
                a.updateBrokerConfig(addr, changed);
                return null;
            }
            case "brokerRuntime": return a.fetchBrokerRuntimeStats(addr);
            case "viewMessage":
                return message(null, "message", a.viewMessage(topic, c.getString("msgId")), true);
            case "queryMessage": {
                List<JSONObject> found = new ArrayList<>();
                for (MessageExt m : a.queryMessage(topic, c.getString("key"), 32, 0,
                    Long.MAX_VALUE).getMessageList()) {
                    found.add(message(null, "message", m, true));
                }
                return found;
            }
            case "createTopic": {
                int queues = c.getIntValue("queues");
                int perm = c.containsKey("perm") ? c.getIntValue("perm") : 6;
                a.createAndUpdateTopicConfig(addr, new TopicConfig(topic, queues, queues, perm));
                return null;
            }
            case "deleteTopic":
                a.deleteTopicInBroker(Set.of(addr), topic);
                return null;
            case "setOffset":
                a.updateConsumeOffset(addr, group, new MessageQueue(topic, c.getString("broker"),
                    c.getIntValue("queue")), c.getLongValue("offset"));
                return null;
            default: throw new IllegalArgumentException("no such call: " + c.getString("call"));
        }
    }

    // ---- commands ----

    void run(JSONObject c) throws Exception {
        Object id = c.get("id");
        switch (String.valueOf(c.getString("do"))) {
            case "send": send(id, c); break;
            case "dump": dump(id, c); break;
            case "pull": pull(id, c); break;
            case "consume": consume(id, c); break;
            case "stop": stop(c.getString("name")); break;
            case "offsets": offsets(id, c); break;
            case "admin": {
                JSONObject e = event(id, "answer");
                e.put("value", admin(c));
                print(e);
                break;
            }
            case "close": close(); break;
            default: throw new IllegalArgumentException("no such command: " + c.getString("do"));
        }
    }

    // Runs a command; true when it did not throw.
    boolean attempt(JSONObject c) {
        try {
            run(c);
            return true;
        } catch (Throwable t) {
            print(error(c.get("id"), t));
            return false;
        }
    }

    // Shuts every client down in order, as an application would.
    synchronized void close() {
        consumers.values().forEach(Consumer::end);
        consumers.clear();
        producers.values().forEach(DefaultMQProducer::shutdown);
        producers.clear();
        if (puller != null) {
            puller.shutdown();
            puller = null;
        }
        if (admin != null) {
            admin.shutdown();
            admin = null;
        }
    }

    void serve() throws Exception {
        print(event(null, "ready"));
        BufferedReader in = new BufferedReader(
            new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            if (!line.isBlank()) {
                JSONObject c = JSON.parseObject(line);
                attempt(c);
                print(event(c.get("id"), "done"));
            }
        }
    }

    // A value of the command line: a number, true, an array or an object, else text.
    static Object value(String name, String text) {
        if (Set.of("messages", "props", "refuseKeys").contains(name)) {
            return JSON.parse(text);
        }
        return text;
    }

    public static void main(String[] args) throws Exception {
        System.setOut(System.err); // the client of RocketMQ 4 logs to stdout
        JSONObject c = new JSONObject(new LinkedHashMap<>());
        String namesrv = null;
        String acl = null;
        for (int i = 0; i < args.length; i++) {
            if (!args[i].startsWith("--")) {
                c.put("do", args[i]);
                continue;
            }
            if (i + 1 == args.length) {
                System.err.print(USAGE);
                System.exit(2);
            }
            String name = args[i].substring(2);
            String text = args[++i];
            switch (name) {
                case "namesrv": namesrv = text; break;
                case "acl": acl = text; break;
                case "tls": System.setProperty("tls.enable", text); break;
                default: c.put(name, value(name, text));
            }
        }
        if (namesrv == null || c.get("do") == null) {
            System.err.print(USAGE);
            System.exit(2);
        }
        Peer peer = new Peer(namesrv, acl);
        Runtime.getRuntime().addShutdownHook(new Thread(peer::close));
        boolean good = true;
        if (c.getString("do").equals("serve")) {
            peer.serve();
        } else {
            good = peer.attempt(c);
            if (good && c.getString("do").equals("consume")) {
                new CountDownLatch(1).await(); // until a signal; the hook shuts down in order
            }
        }
        System.exit(good ? 0 : 1);
    }
}

# SPDX-License-Identifier: Apache-2.0
"""What topics have of numbered lines ("<partition> <number>"), read over plain sockets: shares
nothing with the workers and their client but the topics.

    sequence_check.py NAMESRV_PORT TOPIC...

Each line on stdin, {"written": {partition: count}}, is answered after the topics were read on to
their ends by {"lost": ...}; with "since": ms, and "until": ms, by all of this:
    lost       numbers below `written` that are nowhere
    repeated   {partition: messages whose number had been there}, since the last answer
    disordered messages that came before one of a lower number that was new, since the last answer
    late       most batches of one former generation in one queue behind a newer generation
    late_all   messages of former generations behind a newer one, since the last answer
    stale      of these, left out because a barrier says so
    moved      partitions that are in more than one queue
    pauses     {partition: [longest time without a new number, when it ended]} ms, ended behind
               `since`, counted from `since` on
    back       {partition: end of its last pause of 1 s or more} in ms since `since`; 0 = none
    later      longest pause that began behind `until`, of any; the two above are without those
When brokers do not answer: {"error": text}.
"""
import json
import sys

import cluster
import stored


class Servers:
    """What stored.read() asks of a cluster."""

    def __init__(self, port):
        self.port = port

    def route(self, topic):
        header, body = cluster.request(self.port, 105, {"topic": topic})
        return json.loads(body)["queueDatas"] if header["code"] == 0 else []

    def broker_port(self, name):
        return self.port + 10 * (int(name.rsplit("-", 1)[1]) + 1)


class Partition:
    def __init__(self):
        self.when = []  # of the first message of each number; None = not there
        self.high = self.repeated = self.disordered = 0
        self.queues = set()

    def take(self, number, when):
        if number >= len(self.when):
            self.when.extend([None] * (number + 1 - len(self.when)))
        if self.when[number] is not None:
            self.repeated += 1
            return
        self.when[number] = when
        self.disordered += number != self.high
        self.high = max(self.high, number + 1)


class Generations:
    """Who wrote behind whom: generations of a partition in each queue."""

    def __init__(self):
        self.newest, self.late, self.in_batch = {}, {}, {}
        self.barriers = {}
        self.late_all = self.stale = 0

    def take(self, m, partition, found):
        """Whether it is to be left out: behind a barrier of its writer, or a barrier itself."""
        parts = found.get(b"__rc.gen", b"").split(b".")
        if len(parts) < 2:
            return False
        generation, stamp = int(parts[0]), (int(parts[0]), int(parts[1]))
        barrier = found.get(b"TAGS") == b"rc-barrier"
        if not barrier:
            self._order(m, partition, generation)
        if len(parts) != 3:
            return False
        at = (m.broker, m.queue, parts[2])
        if barrier:
            self.barriers[at] = max(stamp, self.barriers.get(at, stamp))
            return True
        if stamp < self.barriers.get(at, stamp):
            self.stale += 1
            return True
        return False

    def _order(self, m, partition, generation):
        at = (m.broker, m.queue, partition)
        newest = self.newest.get(at, generation)
        self.newest[at] = max(newest, generation)
        if generation >= newest:
            self.in_batch[at] = None
            return
        self.late_all += 1
        if self.in_batch.get(at) != generation:
            self.in_batch[at] = generation
            self.late[at, generation] = self.late.get((at, generation), 0) + 1


class Checker:
    def __init__(self, servers, topics):
        self.servers, self.topics = servers, topics
        self.since = {topic: {} for topic in topics}
        self.partitions = {}
        self.generations = Generations()

    def read(self):
        for topic in self.topics:
            new = []
            try:
                stored.read(self.servers, topic, new.append, self.since[topic])
            finally:  # what was read is not read again
                new.sort(key=lambda m: (m.stored, m.broker, m.queue, m.offset))
                for m in new:
                    self.take(topic, m)

    def take(self, topic, m):
        found = stored.properties(m.properties)
        partition, _, number = m.body.decode("utf-8", "replace").rpartition(" ")
        if self.generations.take(m._replace(broker=(topic, m.broker)), partition, found):
            return
        one = self.partition(partition)
        one.queues.add((topic, m.broker, m.queue))
        one.take(int(number), m.stored)

    def lost(self, written):
        return sum(count - sum(when is not None for when in self.partition(name).when[:count])
                   for name, count in written.items())

    def partition(self, name):
        return self.partitions.setdefault(name, Partition())

    def answer(self, written, since, until):
        repeated, lost, disordered, pauses, back = {}, self.lost(written), 0, {}, {}
        later = 0
        for name in written:
            one = self.partition(name)
            disordered += one.disordered
            if one.repeated:
                repeated[name] = one.repeated
            pauses[name], back[name], after = pauses_of(one.when, since, until)
            later = max(later, after)
        for one in self.partitions.values():
            one.disordered = one.repeated = 0
        g = self.generations
        told = {"lost": lost, "repeated": repeated, "disordered": disordered, "pauses": pauses,
                "back": back, "later": later,
                "late": max(g.late.values(), default=0), "late_all": g.late_all,
                "stale": g.stale, "moved": [n for n, p in self.partitions.items()
                                            if len(p.queues) > 1]}
        g.late, g.late_all, g.stale = {}, 0, 0
        return told


def pauses_of(times, since, until):
    before, longest, back, later = since, (0, 0), 0, 0
    for when in times:
        if when is None or when <= before:
            continue
        pause = when - before
        if before >= until:
            later = max(later, pause)
        elif pause > longest[0]:
            longest = (pause, when - since)
        if before < until and pause >= 1000:
            back = when - since
        before = when
    return longest, back, later


def main():
    checker = Checker(Servers(int(sys.argv[1])), sys.argv[2:])
    for line in sys.stdin:
        command = json.loads(line)
        try:
            checker.read()
            written = command["written"]
            answer = (checker.answer(written, command["since"], command.get("until") or 1 << 62)
                      if "since" in command
                      else {"lost": checker.lost(written)})
        except (OSError, cluster.Trouble) as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

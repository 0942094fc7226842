// kafkajs: groups of three with rebalances, an idempotent producer, pause and resume, seek by time.
// Arguments: bootstrap servers, a topic of its own. Ends with "ok".

const assert = require('assert')
const { Kafka, logLevel } = require('kafkajs')

const [bootstrap, topic] = process.argv.slice(2)
const PARTITIONS = 6
const RECORDS = 600
// Each wait is for a condition; this is when it has failed.
const SECONDS_MAX = 60
const T0_MS = 1700000000000
const kafka = new Kafka({ clientId: 'tests', brokers: bootstrap.split(','), logLevel: logLevel.NOTHING })

async function until(what, condition) {
  for (let looks = 0; looks < SECONDS_MAX * 20; looks++) {
    if (await condition()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`in time: ${what}`)
}

// Records with numbers as values, their times a second apart.
async function produce(first, count) {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  const messages = []
  for (let n = first; n < first + count; n++) {
    messages.push({ value: String(n), partition: n % PARTITIONS, timestamp: String(T0_MS + 1000 * n) })
  }
  for (let from = 0; from < count; from += 100) {
    const placed = await producer.send({ topic, acks: -1, messages: messages.slice(from, from + 100) })
    assert.ok(placed.every((one) => one.errorCode === 0))
  }
  await producer.disconnect()
}

class Member {
  constructor(seen) {
    this.seen = seen
    this.owned = []
    this.consumer = kafka.consumer({
      groupId: `${topic}-group`, sessionTimeout: 6000, heartbeatInterval: 300, rebalanceTimeout: 10000,
    })
  }

  async start() {
    this.consumer.on(this.consumer.events.GROUP_JOIN, ({ payload }) => {
      this.owned = payload.memberAssignment[topic] || []
    })
    await this.consumer.connect()
    await this.consumer.subscribe({ topics: [topic], fromBeginning: true })
    await this.consumer.run({
      autoCommitThreshold: 1,
      eachMessage: async ({ message }) => { this.seen.push(Number(message.value.toString())) },
    })
    return this
  }

  async stop() {
    await this.consumer.disconnect()
  }
}

// Each partition has one owner, and each member its share.
function shared(members) {
  const all = members.flatMap((member) => member.owned).sort()
  const whole = all.length === PARTITIONS && all.every((partition, at) => partition === at)
  return whole && members.every((member) => member.owned.length > 0)
}

const numbers = (count) => Array.from({ length: count }, (_, n) => n)
const hasAll = (seen, count) => { const set = new Set(seen); return numbers(count).every((n) => set.has(n)) }

async function groups(admin) {
  const seen = []
  const members = [await new Member(seen).start()]
  await until('one member owns all', () => shared(members))
  for (let more = 0; more < 2; more++) {
    members.push(await new Member(seen).start())
    await until(`${members.length} members share`, () => shared(members))
  }
  await until('all records were read', () => hasAll(seen, RECORDS))
  const described = await admin.describeGroups([`${topic}-group`])
  assert.strictEqual(described.groups[0].members.length, 3)
  await members.shift().stop()
  await until('two members share', () => shared(members))
  await produce(RECORDS, 60)
  await until('the new records were read', () => hasAll(seen, RECORDS + 60))
  for (const member of members) await member.stop()
  const committed = async () => {
    const [offsets] = await admin.fetchOffsets({ groupId: `${topic}-group`, topics: [topic] })
    return offsets.partitions.reduce((sum, one) => sum + Number(one.offset), 0) === RECORDS + 60
  }
  await until('all offsets are committed', committed)
}

async function pauseAndSeek(admin) {
  const consumer = kafka.consumer({ groupId: `${topic}-pause`, sessionTimeout: 6000, heartbeatInterval: 300 })
  const seen = []
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  let joined = false
  consumer.on(consumer.events.GROUP_JOIN, () => {
    consumer.pause([{ topic, partitions: [0] }])
    joined = true
  })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => { seen.push({ partition, value: message.value.toString() }) },
  })
  await until('it joined', () => joined)
  await until('the others were read', () => new Set(seen.map((one) => one.partition)).size === PARTITIONS - 1)
  assert.ok(seen.every((one) => one.partition !== 0), 'a paused partition is not read')
  // The first record at or after number 301's time in partition 0 is 306.
  const offsets = await admin.fetchTopicOffsetsByTimestamp(topic, T0_MS + 301000)
  const offset = offsets.find((one) => one.partition === 0).offset
  consumer.seek({ topic, partition: 0, offset })
  consumer.resume([{ topic, partitions: [0] }])
  await until('partition 0 was read', () => seen.some((one) => one.partition === 0))
  assert.strictEqual(seen.find((one) => one.partition === 0).value, '306')
  await consumer.disconnect()
}

async function main() {
  const admin = kafka.admin()
  await admin.connect()
  const configEntries = [{ name: 'retention.ms', value: '-1' }]
  await admin.createTopics({ topics: [{ topic, numPartitions: PARTITIONS, replicationFactor: 1, configEntries }] })
  await produce(0, RECORDS)
  await groups(admin)
  await pauseAndSeek(admin)
  await admin.disconnect()
  console.log('ok')
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1) })

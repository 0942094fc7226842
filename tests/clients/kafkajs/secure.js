// kafkajs over SASL_SSL against a broker with an authorizer: what a rule allows is done, what none allows is refused.
// Arguments: bootstrap servers, a topic that the user bob may use, the authority's file, the password's file. Ends with "ok".

const assert = require('assert')
const fs = require('fs')
const { Kafka, logLevel } = require('kafkajs')

const [bootstrap, topic, ca, password] = process.argv.slice(2)
const RECORDS = 200

function client(secret, mechanism) {
  return new Kafka({
    clientId: 'tests', brokers: bootstrap.split(','), logLevel: logLevel.NOTHING, retry: { retries: 2 },
    ssl: { ca: [fs.readFileSync(ca, 'utf-8')], servername: 'localhost' },
    sasl: { mechanism, username: 'bob', password: secret },
  })
}

async function refused(what, code) {
  await assert.rejects(what, (error) => {
    const said = `${error.type || ''} ${error.message} ${error.cause ? error.cause.type : ''}`
    assert.ok(said.includes(code), said)
    return true
  })
}

async function main() {
  const secret = fs.readFileSync(password, 'utf-8').trim()
  for (const mechanism of ['scram-sha-256', 'scram-sha-512', 'plain']) {
    const kafka = client(secret, mechanism)
    const producer = kafka.producer()
    await producer.connect()
    const messages = Array.from({ length: RECORDS }, (_, n) => ({ value: `${mechanism} ${n}` }))
    await producer.send({ topic, acks: -1, messages })
    await refused(producer.send({ topic: `${topic}-of-others`, messages: [{ value: 'x' }] }), 'TOPIC_AUTHORIZATION_FAILED')
    await producer.disconnect()
    const consumer = kafka.consumer({ groupId: `${topic}-${mechanism}` })
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await new Promise((resolve, reject) => {
      let seen = 0
      consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
      consumer.run({
        eachMessage: async ({ message }) => {
          if (message.value.toString().startsWith(mechanism) && ++seen === RECORDS) resolve()
        },
      }).catch(reject)
    })
    await consumer.disconnect()
  }
  const stranger = client('not-the-password', 'scram-sha-512').producer()
  await refused(stranger.connect(), 'invalid credentials')
  console.log('ok')
}

main().catch((error) => { console.error(error); process.exit(1) })

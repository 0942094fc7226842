// kafkajs against a broker with an authorizer, by each way to say who one is: what a rule allows is done, what none allows is
// refused. Arguments: a folder (see tests/tests/secure_clients.rs), the SASL_SSL and the SSL listener, a topic that bob may
// use. Ends with "ok".

const assert = require('assert')
const fs = require('fs')
const { Kafka, logLevel } = require('kafkajs')

const [folder, sasl, ssl, topic] = process.argv.slice(2)
const RECORDS = 200
const file = (name) => fs.readFileSync(`${folder}/${name}`, 'utf-8').trim()
const by = { username: 'bob', password: file('password') }
const CERTIFICATE = { ssl: { cert: file('user.pem'), key: file('user.key') } }
const ways = {
  'certificate': CERTIFICATE,
  'scram-sha-256': { sasl: { mechanism: 'scram-sha-256', ...by } },
  'scram-sha-512': { sasl: { mechanism: 'scram-sha-512', ...by } },
  'plain': { sasl: { mechanism: 'plain', ...by } },
  'oauthbearer': { sasl: { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: file('token') }) } },
}

function client(way) {
  return new Kafka({
    clientId: 'tests', brokers: [way.sasl ? sasl : ssl], logLevel: logLevel.NOTHING, retry: { retries: 2 },
    ssl: { ca: [file('ca.pem')], servername: 'localhost', ...way.ssl }, sasl: way.sasl,
  })
}

async function refused(what, code) {
  await assert.rejects(what, (error) => {
    const said = `${error.type || ''} ${error.message} ${error.cause ? error.cause.type : ''}`
    assert.ok(said.includes(code), said)
    return true
  })
}

async function use(name, way) {
  const kafka = client(way)
  const producer = kafka.producer()
  await producer.connect()
  const messages = Array.from({ length: RECORDS }, (_, n) => ({ value: `${name} ${n}` }))
  await producer.send({ topic, acks: -1, messages })
  await refused(producer.send({ topic: `others-${topic}`, messages: [{ value: 'x' }] }), 'TOPIC_AUTHORIZATION_FAILED')
  await producer.disconnect()
  const consumer = kafka.consumer({ groupId: `${topic}-${name}` })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await new Promise((resolve, reject) => {
    let seen = 0
    consumer.on(consumer.events.CRASH, ({ payload }) => reject(payload.error))
    consumer.run({
      eachMessage: async ({ message }) => {
        if (message.value.toString().startsWith(`${name} `) && ++seen === RECORDS) resolve()
      },
    }).catch(reject)
  })
  await consumer.disconnect()
}

async function main() {
  // One after the other: the delay after a failed log-in is its address's.
  for (const [name, way] of Object.entries(ways)) await use(name, way)
  const wrong = { sasl: { mechanism: 'scram-sha-512', username: 'bob', password: 'not-the-password' } }
  await refused(client(wrong).producer().connect(), 'invalid credentials')
  const nobody = client({ ssl: {} }).producer()
  await nobody.connect()
  await refused(nobody.send({ topic, messages: [{ value: 'x' }] }), 'TOPIC_AUTHORIZATION_FAILED')
  await nobody.disconnect()
  console.log('ok')
}

main().catch((error) => { console.error(error); process.exit(1) })

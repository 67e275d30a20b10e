// The benchmark's questions answered by Fastify and mercurius with JIT over Maps, with an index for each question: what a good
// team writes by hand for one schema and no other. Reads the demo's events; says where it listens on stdout.
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import Fastify from 'fastify'
import mercurius from 'mercurius'

const [people, properties, prices, reservations] = [new Map(), new Map(), new Map(), new Map()]
const stores = { person: people, property: properties, price: prices, reservation: reservations }
const statuses = {
  property: { listed: 'LISTED', relisted: 'LISTED', delisted: 'DELISTED' },
  price: { set: 'SET', changed: 'SET', withdrawn: 'WITHDRAWN' },
  reservation: {
    booked: 'BOOKED', confirmed: 'CONFIRMED', cancelled: 'CANCELLED', 'checked-in': 'CHECKED_IN', completed: 'COMPLETED',
    'no-show': 'NO_SHOW'
  },
  person: {}
}
const versions = new Map()

for await (const line of createInterface({ input: createReadStream(process.argv[2]) })) {
  if (!line) continue
  const event = JSON.parse(line)
  const [kind, happened] = event.type.split('.')
  const store = stores[kind]
  const known = store.get(event.subject) ?? { key: event.subject }
  const id = kind + event.subject
  // Newer by its version: fields of older ones do not overwrite.
  const sequence = Number(event.sequence ?? 0)
  if (sequence < (versions.get(id) ?? 0)) continue
  versions.set(id, sequence)
  Object.assign(known, event.data)
  const status = statuses[kind][happened]
  if (status) known.status = status
  if (kind === 'reservation' && happened === 'booked') known.bookedAt = event.time
  store.set(event.subject, known)
}

const byKey = (a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)
const grouped = (store, name) => {
  const groups = new Map()
  for (const item of store.values()) {
    const key = item[name]
    if (key === undefined || key === null) continue
    let group = groups.get(key)
    if (!group) groups.set(key, (group = []))
    group.push(item)
  }
  for (const group of groups.values()) group.sort(byKey)
  return groups
}
const NONE = []
const propertiesOf = grouped(properties, 'hostId')
const staysOf = grouped(reservations, 'propertyId')
const staysBy = grouped(reservations, 'guestId')
const pricesOf = grouped(prices, 'propertyId')
const cancelledOf = new Map()
for (const [key, stays] of staysOf) cancelledOf.set(key, stays.filter(stay => stay.status === 'CANCELLED'))
const byCheckIn = [...reservations.values()].filter(stay => stay.checkIn)
byCheckIn.sort((a, b) => (a.checkIn < b.checkIn ? -1 : a.checkIn > b.checkIn ? 1 : byKey(a, b)))
const from = date => {
  let [low, high] = [0, byCheckIn.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (byCheckIn[middle].checkIn < date) low = middle + 1
    else high = middle
  }
  return low
}
const days = (a, b) => Math.round((Date.parse(b) - Date.parse(a)) / 86_400_000)
const first = (list, { first = 50 }) => ({ nodes: list.slice(0, first) })

// Breadth first from both ends.
const neighbours = id => {
  const [kind, key] = id.split(/:(.*)/s)
  const found = []
  const add = (kind, key) => key && found.push(`${kind}:${key}`)
  if (kind === 'Reservation') {
    const stay = reservations.get(key)
    if (stay) { add('Person', stay.guestId); add('Property', stay.propertyId); add('Price', stay.priceId) }
  } else if (kind === 'Property') {
    const property = properties.get(key)
    if (property) add('Person', property.hostId)
    for (const stay of staysOf.get(key) ?? NONE) add('Reservation', stay.key)
    for (const price of pricesOf.get(key) ?? NONE) add('Price', price.key)
  } else if (kind === 'Person') {
    for (const property of propertiesOf.get(key) ?? NONE) add('Property', property.key)
    for (const stay of staysBy.get(key) ?? NONE) add('Reservation', stay.key)
  } else {
    const price = prices.get(key)
    if (price) add('Property', price.propertyId)
  }
  return found
}
const shortest = (a, b, most) => {
  const sides = [new Map([[a, null]]), new Map([[b, null]])]
  let [ends, hops] = [[[a], [b]], 0]
  while (hops < most && ends[0].length && ends[1].length) {
    const side = ends[0].length <= ends[1].length ? 0 : 1
    const next = []
    for (const node of ends[side]) {
      for (const other of neighbours(node)) {
        if (sides[side].has(other)) continue
        sides[side].set(other, node)
        if (sides[1 - side].has(other)) return hops + 1
        next.push(other)
      }
    }
    ends[side] = next
    hops++
  }
  return null
}

const schema = `
type Money { minor: Float! currency: String! }
type Person { key: String! name: String country: String since: String provenance: String email: String phone: String
  completeness: String! properties(first: Int): Properties! reservations(first: Int): Reservations! }
type Property { key: String! name: String kind: String city: String neighbourhood: String country: String bedrooms: Int
  sleeps: Int status: String provenance: String host: Person
  reservations(first: Int, after: String, filter: StayFilter): Reservations! prices(first: Int): Prices! }
type Price { key: String! amount: Money unit: String validFrom: String validTo: String minNights: Int status: String }
type Reservation { key: String! checkIn: String checkOut: String nights: Int guests: Int status: String total: Money
  channel: String bookedAt: String provenance: String completeness: String! property: Property guest: Person }
type Properties { nodes: [Property!]! }
type Prices { nodes: [Price!]! }
type Reservations { totalCount: Int! nodes: [Reservation!]! }
type Path { length: Int! }
input Text { eq: String gte: String lt: String }
input StayFilter { checkIn: Text status: Text property: HomeFilter }
input HomeFilter { kind: Text }
input StayOrder { checkIn: String }
type Query { reservation(key: String!): Reservation person(key: String!): Person property(key: String!): Property
  reservations(filter: StayFilter, orderBy: [StayOrder!], first: Int): Reservations!
  paths(from: ID!, to: ID!, maxHops: Int, first: Int): [Path!]! }`

const resolvers = {
  Query: {
    reservation: (_, { key }) => reservations.get(key),
    person: (_, { key }) => people.get(key),
    property: (_, { key }) => properties.get(key),
    reservations: (_, { filter, first: size = 50 }) => {
      if (!filter) {
        const all = [...reservations.values()].sort(byKey)
        return { totalCount: all.length, nodes: all.slice(0, size) }
      }
      const kind = filter.property?.kind?.eq
      const found = []
      for (let place = from(filter.checkIn.gte); place < byCheckIn.length; place++) {
        const stay = byCheckIn[place]
        if (stay.checkIn >= filter.checkIn.lt) break
        if (!kind || properties.get(stay.propertyId)?.kind === kind) found.push(stay)
      }
      return { totalCount: found.length, nodes: found.slice(0, size) }
    },
    paths: (_, { from, to, maxHops = 6 }) => {
      const length = shortest(from, to, maxHops)
      return length === null ? [] : [{ length }]
    }
  },
  Person: {
    completeness: () => 'COMPLETE',
    properties: (person, size) => first(propertiesOf.get(person.key) ?? NONE, size),
    reservations: (person, size) => first(staysBy.get(person.key) ?? NONE, size)
  },
  Property: {
    host: property => people.get(property.hostId),
    reservations: (property, { filter, first: size = 50, after }) => {
      const all = (filter ? cancelledOf : staysOf).get(property.key) ?? NONE
      // The cursor is a place: what a hand-written page takes.
      const start = after ? Number(after) : 0
      return { totalCount: all.length, nodes: all.slice(start, start + size) }
    },
    prices: (property, size) => first(pricesOf.get(property.key) ?? NONE, size)
  },
  Reservation: {
    completeness: () => 'COMPLETE',
    nights: stay => (stay.checkIn && stay.checkOut ? days(stay.checkIn, stay.checkOut) : null),
    property: stay => properties.get(stay.propertyId),
    guest: stay => people.get(stay.guestId)
  }
}

const app = Fastify()
app.register(mercurius, { schema, resolvers, jit: 1 })
await app.listen({ port: 0, host: '127.0.0.1' })
console.log(`http://127.0.0.1:${app.server.address().port}`)

import { type Static, Type } from '@sinclair/typebox'
import { Quality } from './recognition.js'
import { reference } from './reference.js'
import { Attempts, MOST_SAMPLES, Typing } from './sample.js'

const closed = { additionalProperties: false }

/** The most keys that a text has, and the most typings of a user that are kept. */
export const MOST_KEYS = 128
export const MOST_KEPT = 20
/** The most texts, users or templates of one answer. */
const MOST_LISTED = 1000

const NAME = '^[A-Za-z0-9][A-Za-z0-9._~-]{0,63}$'
const USER = '^[A-Za-z0-9][A-Za-z0-9._~@+:-]{0,63}$'

/** What stands for the last one of a list; with a sign in front that no number begins with. */
const CURSOR = '^~[A-Za-z0-9_-]+$'

const TextName = Type.String({ pattern: NAME, description: 'The name of the text; its own for each caller.' })
/** An enrolled user's id: what the caller calls them. */
export const EnrolledId = Type.String({
  pattern: USER,
  description: 'The id of the user: better one that means nothing elsewhere than a name or an address.',
})

export const TextParams = Type.Object({ text: TextName })
export const UserParams = Type.Object({ text: TextName, user: EnrolledId })
export const SampleParams = Type.Object({
  text: TextName,
  user: EnrolledId,
  sample: Type.String({ format: 'uuid', description: 'The id of the sample.' }),
})

/** The query of what answers lists. */
export const PageQuery = Type.Object(
  {
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: MOST_LISTED,
        description: 'At most so many; 100 where it is left out.',
      }),
    ),
    after: Type.Optional(
      Type.String({
        pattern: CURSOR,
        maxLength: 512,
        description: 'Where to go on: the `next` of the answer before.',
      }),
    ),
  },
  closed,
)
const Next = Type.Optional(
  Type.String({ description: 'Where there may be more: the `after` of the next request.' }),
)

const IfMatch = Type.Optional(
  Type.String({ description: 'The ETag that it has to have, else 412; `*` for any.' }),
)
const IfNoneMatch = (description: string) => Type.Optional(Type.String({ description }))
const IdempotencyKey = Type.Optional(
  Type.String({
    pattern: '^("([ !#-[\\]-~]|\\\\["\\\\])+"|[!#-~][!-~]*)$',
    maxLength: 257,
    description:
      'Anything that no other request has, of up to 255 characters. The same request sent again with it, within a day, is ' +
      'answered as it was, and done once.',
  }),
)

/** The headers of what makes something. */
export const WriteHeaders = Type.Object({
  'Idempotency-Key': IdempotencyKey,
  'If-Match': IfMatch,
  'If-None-Match': IfNoneMatch('`*` where there has to be none, else 412.'),
})
/** Of what deletes something. */
export const DeleteHeaders = Type.Object({ 'Idempotency-Key': IdempotencyKey, 'If-Match': IfMatch })
/** Of what asks who typed something. */
export const AskHeaders = Type.Object({ 'Idempotency-Key': IdempotencyKey })
/** Of what reads something. */
export const ReadHeaders = Type.Object({
  'If-None-Match': IfNoneMatch('The ETag of what the caller has: 304 where it is still the same.'),
})

const Moment = (description: string) => Type.String({ format: 'date-time', description })

const PriorName = Type.Unsafe<'shipped' | 'general'>({
  type: 'string',
  enum: ['shipped', 'general'],
  description:
    'What its users are compared with: the population that the models were trained on, or one for texts of any ' +
    'length, which learns from those who are enrolled.',
})

/** The body of `PUT /texts/:text`. */
export const TextBody = Type.Object(
  {
    keys: Type.Integer({
      minimum: 2,
      maximum: MOST_KEYS,
      description: 'How many keys it takes to type the text.',
    }),
    prior: Type.Optional(PriorName),
  },
  {
    ...closed,
    description:
      'Where `prior` is left out it is `shipped` for as many keys as the models were trained on. That is right for their text only: another ' +
      'one of as many keys wants `general`.',
    'x-examples': { text: { summary: 'A text of 13 keys', value: { keys: 13 } } },
  },
)

export const Text = Type.Object(
  {
    text: TextName,
    keys: Type.Integer(),
    prior: PriorName,
    created: Moment('When it was made.'),
  },
  { $id: 'Text', description: 'A phrase that users are recognised by.' },
)
export type Text = Static<typeof Text>

export const TextList = Type.Object(
  { texts: Type.Array(reference(Text)), next: Next },
  { description: 'In the order of their names.' },
)

const State = Type.Unsafe<'collecting' | 'ready' | 'stale'>({
  type: 'string',
  enum: ['collecting', 'ready', 'stale'],
  description:
    'Whether there are too few samples to recognise the user, enough, or the user types otherwise by now, or has not ' +
    'been enrolled for long: better enrolled anew.',
})

const MeasuredRate = (description: string) =>
  Type.Unsafe<number | null>({ type: ['number', 'null'], description })

const ErrorRate = Type.Object({
  samples: Type.Integer({ description: 'With so many samples of a user.' }),
  eer: MeasuredRate('Equal error rate of claims, of one typing each.'),
  fnmr: MeasuredRate(
    'How often a true claim does not match, at the operating point where false ones match in 1 % of cases.',
  ),
})

export const Enrolled = Type.Object(
  {
    user: EnrolledId,
    id: Type.String({
      format: 'uuid',
      description: 'Of the enrolment: another one once the user was deleted and enrolled again.',
    }),
    state: State,
    needed: Type.Integer({ description: 'How many more samples it takes to recognise the user.' }),
    samples: Type.Array(
      Type.Object({
        id: Type.String({ format: 'uuid' }),
        at: Moment('When it came.'),
        source: Type.Unsafe<'enrolled' | 'verified'>({
          type: 'string',
          enum: ['enrolled', 'verified'],
          description: 'Whether it was enrolled, or taken over from a claim that was surely true.',
        }),
      }),
      { description: 'The oldest first. No times.' },
    ),
    created: Moment('When the first sample came.'),
    updated: Moment('When the last change was.'),
    expires: Type.Optional(Moment('When it is deleted, unless it changes before.')),
    errorRates: Type.Array(ErrorRate, {
      description:
        'What to expect with as many samples, and with more; measured for the shipped text, empty for others.',
    }),
  },
  { $id: 'Enrolled', description: 'A user of a text.' },
)
export type Enrolled = Static<typeof Enrolled>

export const EnrolledList = Type.Object(
  {
    users: Type.Array(
      Type.Object({
        user: EnrolledId,
        state: State,
        samples: Type.Integer({ description: 'How many.' }),
        updated: Moment('When the last change was.'),
      }),
    ),
    next: Next,
  },
  { description: 'In the order of their ids.' },
)

/** The answer of `POST /texts/:text/users/:user/samples`. */
export const Enrolment = Type.Object(
  {
    user: EnrolledId,
    added: Type.Array(Type.String({ format: 'uuid' }), {
      description: 'The ids of the new samples, in their order.',
    }),
    samples: Type.Integer({ description: 'How many samples there are of the user now.' }),
    enough: Type.Boolean({ description: 'Whether the user can be recognised.' }),
    needed: Type.Integer({ description: 'How many more it takes.' }),
    state: State,
    quality: Type.Array(Quality, { description: 'Warnings, as in answers of POST /predict/{model}.' }),
    errorRates: Enrolled.properties.errorRates,
  },
  { description: 'What there is of the user now.' },
)
export type Enrolment = Static<typeof Enrolment>

// Typings of nobody: a rhythm, and what differs from one time to the next. No two examples have the same one: it would be refused
// as a replay.
const PRESSES = [0, 295, 365, 558, 642, 788, 1022, 1100, 1251, 1345, 1548, 1668, 1912]
const HOLDS = [124, 108, 120, 119, 132, 86, 78, 99, 79, 118, 78, 83, 92]
const typed = (time: number) => ({
  keystrokes: PRESSES.map((press, i) => {
    const [late, long] = [time, time + 1].map((one) => ((7 * one + 5 * i * one + 3 * i) % 13) - 6) as [
      number,
      number,
    ]
    return { press: press + 4 * late, release: press + 4 * late + (HOLDS[i] as number) + 3 * long }
  }),
})
const exampleOne = (time: number) => ({ summary: 'One typing', value: typed(time) })
const exampleSeveral = (summary: string, ...times: number[]) => ({
  summary,
  value: { attempts: times.map(typed) },
})

const typings = [reference(Typing), reference(Attempts)]
const ONE_PERSONS = 'The raw keystrokes of one typing, or of several by the same person.'

/** The body of `POST /texts/:text/users/:user/samples`. */
export const EnrolBody = Type.Union(typings, {
  description: ONE_PERSONS,
  'x-examples': { attempts: exampleSeveral('Three typings', 1, 2, 3), keystrokes: exampleOne(4) },
})

/** The body of `POST /texts/:text/identify`. */
export const TypingsBody = Type.Union(typings, {
  description: ONE_PERSONS,
  'x-examples': { keystrokes: exampleOne(5), attempts: exampleSeveral('Two typings', 6, 7) },
})

/** The body of `POST /texts/:text/identify/batch`. */
export const TypingsBatchBody = Type.Object(
  {
    samples: Type.Array(Type.Union(typings), {
      minItems: 1,
      maxItems: MOST_SAMPLES,
      description: 'Each as POST /texts/{text}/identify takes it, and each of one person.',
    }),
  },
  {
    ...closed,
    'x-examples': {
      keystrokes: {
        summary: 'A typing, and two in a row',
        value: { samples: [typed(8), { attempts: [typed(9), typed(10)] }] },
      },
    },
  },
)

const user = { user: EnrolledId }
export const EnrolledTyping = Type.Object(
  { ...user, ...Typing.properties },
  { ...closed, $id: 'EnrolledTyping' },
)
export const EnrolledAttempts = Type.Object(
  { ...user, ...Attempts.properties },
  { ...closed, $id: 'EnrolledAttempts' },
)

/** The body of `POST /texts/:text/verify`. */
export const EnrolledClaimBody = Type.Union([reference(EnrolledTyping), reference(EnrolledAttempts)], {
  description: 'Who is said to have typed it, and the raw keystrokes of one or several typings.',
  'x-examples': {
    keystrokes: { summary: 'One typing', value: { user: 'anna', ...typed(11) } },
    attempts: { summary: 'Two typings', value: { user: 'anna', attempts: [typed(12), typed(13)] } },
  },
})

const ARCHIVE_FORMAT = 1

/** Templates of a text, to be taken elsewhere: the answer of an export, and the body of an import. */
export const Archive = Type.Object(
  {
    format: Type.Literal(ARCHIVE_FORMAT),
    keys: Type.Integer({ minimum: 2, maximum: MOST_KEYS }),
    users: Type.Array(
      Type.Object(
        {
          user: EnrolledId,
          sealed: Type.String({
            pattern: '^[A-Za-z0-9+/]+={0,2}$',
            description: 'The samples, sealed with the key of the service: only who has it can import them.',
          }),
        },
        closed,
      ),
      { maxItems: MOST_LISTED },
    ),
    sha256: Type.String({
      pattern: '^[0-9a-f]{64}$',
      description: 'Of what stands above, as JSON without spaces.',
    }),
    next: Next,
  },
  { ...closed, $id: 'Archive', description: 'Templates of a text, sealed.' },
)
export type Archive = Static<typeof Archive>

/** The body of `POST /texts/:text/templates`. */
export const ArchiveBody = Type.Unsafe<Archive>({
  // Examples beside a bare reference would be lost.
  allOf: [reference(Archive)],
  description: 'What an export answered, with or without its `next`.',
  'x-examples': {
    empty: {
      summary: 'Of nobody: the one that every service can open',
      value: {
        ...{ format: ARCHIVE_FORMAT, keys: 13, users: [] },
        sha256: 'b552bba5d26dc3e025da1da2b9f9ab45eff1ad95776aa1f85ffc514a1bdebac4',
      },
    },
  },
})

export const Imported = Type.Object(
  {
    imported: Type.Integer({ description: 'How many users there are now that were not there.' }),
    kept: Type.Array(EnrolledId, { description: 'Who was there already, and stays as they are.' }),
  },
  { description: 'What became of the templates.' },
)

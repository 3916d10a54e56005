import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import {
  AskHeaders,
  EnrolledClaimBody,
  TextParams,
  TypingsBatchBody,
  TypingsBody,
} from '../schemas/enrolment.js'
import { problems } from '../schemas/problem.js'
import { Predictions, predictQuery, Recognition, Verification, VerifyQuery } from '../schemas/recognition.js'
import { reference } from '../schemas/reference.js'
import { answerAll } from './identification.js'
import { typedOf } from './typed.js'

const PROBLEMS = problems(400, 404, 406, 408, 409, 413, 414, 415, 422, 431)

/** Recognition of users of one's own. */
export const enrolled: FastifyPluginAsyncTypebox<{ maxCandidates: number; batchBodyLimit: number }> = async (
  app,
  { maxCandidates, batchBodyLimit },
) => {
  const querystring = predictQuery(maxCandidates)

  app.post(
    '/texts/:text/identify',
    {
      config: { audit: 'identify' },
      schema: {
        operationId: 'identify',
        tags: ['enrolment'],
        summary: 'Which user of the text typed it',
        headers: AskHeaders,
        params: TextParams,
        querystring,
        body: TypingsBody,
        response: { 200: reference(Recognition, 'Who typed it.'), ...PROBLEMS },
      },
    },
    async (request) => {
      const enrolment = await app.enrolment()
      const text = await enrolment.text(request.caller, request.params.text)
      const { typings, quality } = typedOf(app, request.body, text.keys)
      const answer = await enrolment.recogniser.identify(text, typings, request.query)
      request.audit(answer.decision as string, String(answer.user))
      return { ...answer, quality }
    },
  )

  app.post(
    '/texts/:text/identify/batch',
    {
      bodyLimit: batchBodyLimit,
      config: { audit: 'identify' },
      schema: {
        operationId: 'identifyBatch',
        tags: ['enrolment'],
        summary: 'Which user of the text typed each of many samples',
        headers: AskHeaders,
        params: TextParams,
        querystring,
        body: TypingsBatchBody,
        response: { 200: Predictions, ...PROBLEMS },
      },
    },
    async (request, reply) => {
      const { samples } = request.body
      await app.charge(request, reply, samples.length - 1)
      const enrolment = await app.enrolment()
      const text = await enrolment.text(request.caller, request.params.text)
      const heard: (() => void)[] = []
      const predictions = await answerAll(
        samples,
        async (sample) => {
          const { typings, quality } = typedOf(app, sample, text.keys)
          return { ...(await enrolment.recogniser.identify(text, typings, request.query, heard)), quality }
        },
        (sample, pointer) => `/samples/${sample}${pointer}`,
      ).catch((error) => {
        // Once that is mended which is at fault, the others come again.
        for (const withdraw of heard) withdraw()
        throw error
      })
      for (const { user, decision } of predictions) request.audit(decision as string, String(user))
      return { predictions }
    },
  )

  app.post(
    '/texts/:text/verify',
    {
      config: { audit: 'verify' },
      schema: {
        operationId: 'verifyEnrolled',
        tags: ['enrolment'],
        summary: 'Whether the claimed user of the text typed it',
        headers: AskHeaders,
        params: TextParams,
        querystring: VerifyQuery,
        body: EnrolledClaimBody,
        response: { 200: Verification, ...PROBLEMS },
      },
    },
    async (request) => {
      const enrolment = await app.enrolment()
      const { caller, params, body, query } = request
      const text = await enrolment.text(caller, params.text)
      const { typings, quality } = typedOf(app, body, text.keys)
      const answer = await app.claims.decide([caller, text.id, body.user], () =>
        enrolment.recogniser.verify(text, body.user, typings, query, quality),
      )
      request.audit(answer.match ? 'match' : 'no match', body.user)
      return { ...answer, quality }
    },
  )
}

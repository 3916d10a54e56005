import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { coded } from '../errors.js'
import {
  InferBody,
  InferResponse,
  inferenceErrors,
  Live,
  ModelMetadata,
  ModelReady,
  Ready,
  ServerMetadata,
} from '../schemas/inference-protocol.js'
import { reference } from '../schemas/reference.js'
import { outputsOf, tensorsOf, wantedOf } from '../tensors/answers.js'
import { inputOf, samplesOf } from '../tensors/samples.js'
import { isReady, statusOf } from './health.js'
import { identifyAll } from './identification.js'

const tags = ['inference protocol']

export interface InferenceProtocolOptions {
  version: string
  maxCandidates: number
  batchBodyLimit: number
}

/** The Open Inference Protocol, version 2: the models as servers of models in general offer theirs. */
export const inferenceProtocol: FastifyPluginAsyncTypebox<InferenceProtocolOptions> = async (
  app,
  { version, maxCandidates, batchBodyLimit },
) => {
  app.get(
    '',
    {
      schema: {
        ...{ operationId: 'v2Server', tags, summary: 'What this is' },
        response: { 200: ServerMetadata, ...inferenceErrors() },
      },
    },
    async () => ({ name: 'keystroke-recognition', version, extensions: ['binary_tensor_data'] }),
  )

  app.get(
    '/health/live',
    {
      schema: {
        ...{ operationId: 'v2Live', tags, summary: 'Whether the process answers', security: [] },
        response: { 200: Live },
      },
    },
    async () => ({ live: true }),
  )

  app.get(
    '/health/ready',
    {
      schema: {
        ...{ operationId: 'v2Ready', tags, summary: 'Whether every model can answer', security: [] },
        response: { 200: Ready, 503: Ready },
      },
    },
    async (_request, reply) => {
      const ready = isReady(statusOf(app, Object.values(await app.models.states())))
      if (!ready) reply.code(503).header('retry-after', '1')
      return { ready }
    },
  )

  // With its version or without: there is one of each.
  for (const [path, suffix, where] of [
    ['/models/:model', '', Type.Object({ model: Type.String() })],
    [
      '/models/:model/versions/:version',
      'Version',
      Type.Object({ model: Type.String(), version: Type.String() }),
    ],
  ] as const) {
    app.get(
      path,
      {
        schema: {
          ...{ operationId: `v2Model${suffix}`, tags, summary: 'What tensors a model takes and gives' },
          params: where,
          response: { 200: reference(ModelMetadata, 'Its tensors.'), ...inferenceErrors(400, 404) },
        },
      },
      async ({ params }) => {
        const card = cardOf(params)
        return {
          name: card.name,
          versions: [card.version],
          platform: 'onnxruntime_onnx',
          inputs: [inputOf(card)],
          outputs: offeredBy(card),
        }
      },
    )

    app.get(
      `${path}/ready`,
      {
        schema: {
          ...{ operationId: `v2ModelReady${suffix}`, tags, summary: 'Whether a model can answer' },
          params: where,
          response: { 200: ModelReady, ...inferenceErrors(400, 404), 503: ModelReady },
        },
      },
      async ({ params }, reply) => {
        const { name } = cardOf(params)
        const ready = (await app.models.states())[name] !== 'failed'
        if (!ready) reply.code(503).header('retry-after', '1')
        return { name, ready }
      },
    )

    app.post(
      `${path}/infer`,
      {
        bodyLimit: batchBodyLimit,
        schema: {
          ...{ operationId: `v2Infer${suffix}`, tags, summary: 'Who typed each of the rows' },
          description:
            'Rows in, what POST /predict/{model} answers for each out, or for none. The JSON may be followed by binary ' +
            'data of tensors; `Inference-Header-Content-Length` then says where it ends, here and in the answer.',
          params: where,
          body: InferBody,
          response: {
            200: reference(InferResponse, 'The outputs.'),
            ...inferenceErrors(400, 404, 413, 415, 422),
          },
        },
      },
      async (request, reply) => {
        const { params, body, binary } = request
        const card = cardOf(params)
        const wanted = wantedOf(body, offeredBy(card))
        const samples = samplesOf(body, binary, card)
        await app.charge(request, reply, samples.length - 1)
        const top = wanted.some(({ output }) => output.name === 'scores') ? card.users : 0
        const fpir = body.parameters?.fpir
        const query = { top, ...(fpir !== undefined && { fpir }) }
        const answers = await identifyAll(app, card.name, samples, query, (row) => `/inputs/0/data/${row}`)
        const { tensors, bytes } = tensorsOf(wanted, answers)
        const answer = {
          model_name: card.name,
          model_version: card.version,
          ...(body.id && { id: body.id }),
          outputs: tensors,
        }
        if (!wanted.some(({ binary }) => binary)) return answer
        const json = Buffer.from(JSON.stringify(answer))
        reply.header('inference-header-content-length', json.length).type('application/octet-stream')
        return reply.send(Buffer.concat([json, bytes]) as never)
      },
    )
  }

  function cardOf({ model, version }: { model: string; version?: string }) {
    const card = app.models.card(model)
    if (version !== undefined && version !== card.version) {
      throw coded('KSR_MODEL_NOT_FOUND', [`${model}, version ${version}`])
    }
    return card
  }

  /** The candidates' scores are all or none: whoever may not have any has none here. */
  function offeredBy(card: ReturnType<typeof cardOf>) {
    return outputsOf(card, app.models.users, maxCandidates > 0 && !card.hideScores)
  }
}

import { Tensor } from 'onnxruntime-node'
import type { Comparer, Packed } from '../templates/gallery.js'
import { Batch } from './batch.js'
import { areNumbers } from './decision.js'
import { createSession } from './session.js'

/** What a row takes on its way grows with groups and columns: here to some 50 MB. */
const MOST_NUMBERS = 2 ** 22
const NAME = 'enrolment'

/** What compares rows with templates that are given to it: one session, whatever texts and users there are. */
export interface OpenComparer {
  compare: Comparer
  release(): Promise<void>
}

/**
 * Opens the graph that compares.
 * @throws KSR_MODEL_FILE with the file and the reason
 */
export async function openComparer(file: string, bytes: Uint8Array): Promise<OpenComparer> {
  const session = await createSession(file, bytes)
  let asked = Promise.resolve()
  return {
    compare(packed) {
      const batch = new Batch<Float32Array>(session, {
        model: NAME,
        classes: 1,
        input: 'rows',
        outputs: ['scores'],
        most: () => Math.floor(MOST_NUMBERS / (packed().groups * packed().columns)),
        others: () => feedsOf(packed()),
        read({ scores }, place) {
          const { data, dims } = scores as Tensor
          const columns = dims[1] as number
          const own = (data as Float32Array).subarray(place * columns, (place + 1) * columns)
          if (!areNumbers(own)) throw new Error('its scores are not all numbers')
          return own
        },
        condition: { failing: false },
      })
      return (row) => {
        const answer = batch.run(row)
        // Without what they resolve to: all that was ever answered would hang on it.
        asked = Promise.allSettled([asked, answer]).then(() => {})
        return answer
      }
    },
    async release() {
      // Who has an answer may ask once more because of it.
      for (let last: unknown; last !== asked; await new Promise(setImmediate)) {
        last = asked
        await asked
      }
      await session.release()
    },
  }
}

/** Wrapped each time: the arrays are others once there are more users, and wrapping copies nothing. */
function feedsOf({ groups, columns, centres, scales, factors, constants }: Packed): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {
    factors: new Tensor('float32', factors, [1, groups]),
    constants: new Tensor('float32', constants, [columns]),
  }
  for (const [factor, numbers] of centres.entries()) {
    feeds[`centres_${factor}`] = new Tensor('float32', numbers, [groups, columns])
    feeds[`scales_${factor}`] = new Tensor('float32', scales[factor] as Float32Array, [groups, columns])
  }
  return feeds
}

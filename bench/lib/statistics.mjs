/** @returns the middle value, or the mean of the two */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** @returns the value that a share of the values is below */
export function percentile(values, share) {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
}

// Of the standard normal distribution: 95 % are within so many deviations.
const Z = 1.959963984540054

/**
 * How y grows with x, by Theil and Sen: the median of the slopes of all pairs, which a third of the points can't spoil; and
 * its 95 % interval by Kendall's distribution.
 * @param points `[x, y]` each, ten or more, with rising x
 * @returns `slope`, `low` and `high`
 */
export function theilSen(points) {
  const n = points.length
  if (n < 10) throw new Error(`${n} points are too few for a slope`)
  const slopes = new Float64Array((n * (n - 1)) / 2)
  let pairs = 0
  for (let i = 0; i < n; i++) {
    for (let j = i + 1; j < n; j++) {
      slopes[pairs++] = (points[j][1] - points[i][1]) / (points[j][0] - points[i][0])
    }
  }
  slopes.sort()
  const reach = Z * Math.sqrt((n * (n - 1) * (2 * n + 5)) / 18)
  const low = Math.max(0, Math.floor((pairs - reach) / 2))
  const high = Math.min(pairs - 1, Math.ceil((pairs + reach) / 2))
  return { slope: median([...slopes]), low: slopes[low], high: slopes[high] }
}

/** @returns the least of each so many values in a row; what is left over at the end is left out */
export function minima(values, size) {
  return Array.from({ length: Math.floor(values.length / size) }, (_, i) =>
    Math.min(...values.slice(i * size, (i + 1) * size)),
  )
}

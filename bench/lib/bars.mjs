// A bar chart, as SVG.
const WIDTH = 720
const LABELS = 210
const ROW = 24
const TOP = 44

/**
 * @param bars `[label, value]` each
 * @returns an SVG image, legible on light and dark pages
 */
export function barChart(title, bars, unit) {
  const largest = Math.max(...bars.map(([, value]) => value))
  const scale = (WIDTH - LABELS - 90) / largest
  const height = TOP + bars.length * ROW + 12
  const rows = bars.map(([label, value], i) => {
    const y = TOP + i * ROW
    const width = Math.max(1, value * scale)
    return `<text x="${LABELS - 8}" y="${y + 14}" text-anchor="end">${label}</text>
<rect x="${LABELS}" y="${y}" width="${width.toFixed(1)}" height="${ROW - 6}" fill="#3b6ea5"/>
<text x="${(LABELS + width + 6).toFixed(1)}" y="${y + 14}">${value.toFixed(0)}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="system-ui, sans-serif" font-size="13">
<title>${title}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="12" y="24" font-size="15">${title}, ${unit}</text>
${rows.join('\n')}
</svg>
`
}

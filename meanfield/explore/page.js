// The page in the browser. What is asked is the link of a view; what comes back is drawn in one go.
// A change of each model by the server would be a message and a repaint of its own: some thirty for one step of a drag.
const field = Object.fromEntries(['formula', 'other', 'sigma_w', 'sigma_b', 'depth'].map((name) => [name, document.getElementById(name)]))
const words = Object.fromEntries(
  ['message', 'verdict', 'table', 'lines', 'link', 'advice'].map((name) => [name, document.getElementById(name)]),
)

// ---- drawing ------------------------------------------------------------------------------------------------------

const numbers = (list) => Float64Array.from(list, (value) => value ?? NaN)
// Not sent back: the server knows what it said.
const put = (model, values) => model.setv(values, {sync: false})
const put_lines = (source, lines) => put(source, {data: {...lines, xs: lines.xs.map(numbers), ys: lines.ys.map(numbers)}})
const put_range = (range, [start, end]) => {
  // A new range is a new layout; the same one is not.
  if (range.start !== start || range.end !== end) put(range, {start, end})
}
const write = (name, markup) => {
  if (words[name].innerHTML !== markup) words[name].innerHTML = markup
}

const show_points = (told) => {
  write('message', told.message)
  if (told.query == null) return  // nothing but the message: the picture stays
  for (const [plot, source] of [[maps, maps_lines], [correlations, correlation_lines], [trajectory, trajectory_lines]]) {
    const {lines, x, y} = told[plot.name]
    put_lines(source, lines)
    put_range(plot.x_range, x)
    put_range(plot.y_range, y)
  }
  put(marks, {data: told.trajectory.marks})
  for (const name of ['verdict', 'table', 'lines', 'link']) write(name, told[name])
  put(shown, {data: {...shown.data, query: [told.query]}})
  fade(new URLSearchParams(told.query).get('phi'))
  keep_link(told.query)
  wait_for_picture()
}

// The phase diagram of another formula stays until the new one comes, faded.
const fade = (formula) => {
  const of = shown.data.plane[0]
  const opacity = of === '' || of === formula ? '' : '0.4'
  if (el.style.opacity !== opacity) el.style.opacity = opacity
}
const show_plane = (told) => {
  put_lines(edge_lines, told.lines)
  put(edge_dots, {data: told.dots})
  if (told.message) write('message', told.message)
  put(shown, {data: {...shown.data, plane: [told.plane]}})
  fade(new URLSearchParams(shown.data.query[0]).get('phi'))
}

const show_advice = (told) => write('advice', told.advice)

let link_timer = 0
const keep_link = (query) => {
  // A browser takes few of these a second.
  clearTimeout(link_timer)
  link_timer = setTimeout(() => history.replaceState(null, '', query), 250)
}

// ---- asking -------------------------------------------------------------------------------------------------------

let painting = false, asked_meanwhile = false
const wait_for_picture = () => {
  // Until a picture stands nothing new is asked: a slow machine would fall behind the pointer.
  painting = true
  requestAnimationFrame(() => requestAnimationFrame(() => {
    painting = false
    if (asked_meanwhile) ask()
  }))
}
const ask = () => {
  asked_meanwhile = painting
  if (painting) return
  const view = {phi: field.formula.value, with: field.other.value, sigma_w: w(), sigma_b: b(), depth: field.depth.value}
  asked.data = {query: [`?${new URLSearchParams(view)}`]}
}
const w = () => Number(field.sigma_w.value), b = () => Number(field.sigma_b.value)
const changed = () => {
  for (const name of ['sigma_w', 'sigma_b', 'depth']) document.getElementById(`${name}_value`).textContent = field[name].value
  if (mark.data.x[0] !== w() || mark.data.y[0] !== b()) put(mark, {data: {x: [w()], y: [b()]}})
  ask()
}
for (const one of Object.values(field)) one.addEventListener('input', changed)

// A pointer anywhere on the plane, or an arrow key while it has the focus, moves the sliders, and they the mark.
// Bokeh's own events for a drag don't come where one holds still before moving, and a finger would scroll the page.
const view = Bokeh.index.get_by_id(plane.id), el = view.el
const move = (across, up) => {
  if (isNaN(across) || isNaN(up)) return
  const before = [w(), b()]
  field.sigma_w.value = across  // a slider keeps to its range and its steps
  field.sigma_b.value = up
  if (w() !== before[0] || b() !== before[1]) changed()
}
let held = false
const follow = (event) => {
  const box = el.getBoundingClientRect()
  move(view.frame.x_scale.invert(event.clientX - box.left), view.frame.y_scale.invert(event.clientY - box.top))
}
el.style.touchAction = 'none'
el.tabIndex = 0
el.setAttribute('aria-label', 'Phase diagram: arrow keys move the point')
el.addEventListener('pointerdown', (event) => { if (event.button === 0) { held = true; follow(event) } }, true)
window.addEventListener('pointermove', (event) => { if (held) follow(event) }, true)
for (const end of ['pointerup', 'pointercancel']) window.addEventListener(end, () => { held = false }, true)
const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1]}
el.addEventListener('keydown', (event) => {
  if (!(event.key in steps)) return
  const [across, up] = steps[event.key].map((sign) => sign * 0.01 * (event.shiftKey ? 10 : 1))
  move(w() + across, b() + up)
  event.preventDefault()
})

for (const [source, show] of [[told_points, show_points], [told_plane, show_plane], [told_advice, show_advice]]) {
  const listen = () => { if (source.data.json[0]) show(JSON.parse(source.data.json[0])) }
  source.properties.data.change.connect(listen)
  listen()  // what came before the page was ready
}

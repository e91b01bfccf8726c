// The theme can be switched; a chart says what is under the pointer.
document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});
for (const svg of document.querySelectorAll("svg[data-samples]")) {
  const samples = svg.dataset.samples.split(" ").map((sample) => sample.split(",").map(Number));
  const [mostMs, , left, width] = svg.dataset.frame.split(" ").map(Number);
  const readout = document.createElement("div");
  readout.className = "readout";
  const line = document.createElementNS(svg.namespaceURI, "path");
  line.setAttribute("class", "pointer");
  svg.addEventListener("pointermove", (event) => {
    const x = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse()).x;
    const at = ((x - left) / width) * mostMs;
    const nearest = samples.reduce((best, sample) => (Math.abs(sample[0] - at) < Math.abs(best[0] - at) ? sample : best));
    readout.textContent = `${(nearest[0] / 1000).toFixed(2)} s: ${nearest[1]} + ${nearest[2]}`;
    line.setAttribute("d", `M${left + (nearest[0] / mostMs) * width} 6V${svg.viewBox.baseVal.height - 20}`);
    svg.append(line);
    svg.parentElement.append(readout);
  });
  svg.addEventListener("pointerleave", () => {
    readout.remove();
    line.remove();
  });
}

// Costs again at other prices; without this script the page shows those of the run.
const form = document.getElementById("prices");
const said = value => value === null || !isFinite(value) ? "—" : Number(value.toPrecision(3)).toString();
if (form) form.addEventListener("input", () => {
  const price = name => Number(form.elements[name].value);
  for (const row of document.querySelectorAll("[data-cpu]")) {
    const fact = name => row.dataset[name] === "" ? null : Number(row.dataset[name]);
    const rate = fact("rate"), capacity = fact("capacity");
    const packed = 1e6 * (fact("cpu") * price("cpu") / 3600 + fact("memory") * price("gib") / 3600 / rate);
    const count = capacity ? Math.max(price("least"), Math.ceil(rate * price("headroom") / capacity)) : null;
    const provisioned = count === null ? null : 1e6 * count * price("instance") / 3600 / rate;
    row.querySelector(".packed").textContent = said(packed);
    row.querySelector(".provisioned").textContent = provisioned === null ? "—" : `${said(provisioned)} (${count})`;
  }
});

// Charts: figures as plotly takes them, with the colours of the theme put in as they are drawn.
(() => {
  const store = document.getElementById("page-figures");
  const done = () => { document.documentElement.dataset.drawn = "true"; };
  if (!store) return done();
  const given = JSON.parse(store.textContent);
  const config = { displayModeBar: false, responsive: true, showTips: false };
  const PRINTED = 660; // pixels across a printed page

  // Variables of the style sheet become the values that they have now.
  function colored(value) {
    if (typeof value === "string") {
      const name = /^var\((--[\w-]+)\)$/.exec(value);
      return name ? theme.value(name[1]) : value;
    }
    if (Array.isArray(value)) return value.map(colored);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, colored(each)]));
    }
    return value;
  }

  const isObject = (value) => value && typeof value === "object" && !Array.isArray(value);

  // What a variant says is laid over the figure; its traces over the figure's, one by one.
  function over(base, more) {
    if (!isObject(base) || !isObject(more)) return more;
    const made = { ...base };
    for (const [name, value] of Object.entries(more)) {
      if (name === "data" && Array.isArray(value) && Array.isArray(base.data)) {
        made.data = value.map((trace, place) => over(base.data[place] || {}, trace));
      } else {
        made[name] = name in base ? over(base[name], value) : value;
      }
    }
    return made;
  }

  function common(width, hasLegend) {
    const narrow = width < 520;
    return {
      font: { family: getComputedStyle(document.body).fontFamily, size: narrow ? 11 : 13, color: "var(--ink)" },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      margin: { l: narrow ? 44 : 64, r: 14, t: 24, b: hasLegend ? 84 : 48 },
      hoverlabel: { bgcolor: "var(--paper)", bordercolor: "var(--muted)", font: { color: "var(--ink)" } },
      legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0, traceorder: "normal", font: { size: narrow ? 11 : 12 } },
      dragmode: false, bargap: 0.25,
    };
  }

  const axisBase = {
    gridcolor: "var(--grid)", linecolor: "var(--line)", zerolinecolor: "var(--line)",
    tickcolor: "var(--line)", ticks: "outside", ticklen: 4, automargin: true, showline: true,
  };

  const charts = Object.entries(given).map(([id, chart]) => {
    const figure = document.getElementById(id);
    return {
      ...chart, figureElement: figure, area: figure.querySelector(".drawing"),
      caption: figure.querySelector("figcaption"), variant: 0, start: null, levels: null, drawn: false,
    };
  });

  function figureOf(chart, width) {
    const chosen = chart.variants[chart.variant];
    const figure = chosen ? over(chart.figure, chosen.figure) : chart.figure;
    const plain = figure.data.some((trace) => trace.type === "icicle");
    const wanted = figure.layout.showlegend;
    const hasLegend = !plain && (wanted === undefined ? figure.data.length > 1 : wanted);
    const layout = over(common(width, hasLegend), figure.layout);
    layout.showlegend = hasLegend;
    // On a narrow screen a legend takes a line for every two names.
    layout.height = (layout.height || chart.height) + (hasLegend && width < 520 ? 11 * figure.data.length : 0);
    if (!plain) {
      for (const name of new Set(["xaxis", "yaxis", ...Object.keys(layout).filter((key) => /^[xy]axis\d+$/.test(key))])) {
        layout[name] = over(axisBase, layout[name] || {});
      }
    }
    const data = figure.data.map((trace) => ({ ...trace }));
    if (chart.start !== null) data[0].level = chart.start;
    if (chart.levels !== null) data[0].maxdepth = chart.levels;
    return { data: colored(data), layout: colored(layout) };
  }

  function draw(chart, width) {
    const { data, layout } = figureOf(chart, width || chart.area.clientWidth || 700);
    chart.area.style.height = `${layout.height}px`;
    if (width) layout.width = width;
    else layout.autosize = true;
    if (!chart.drawn) chart.area.textContent = "";
    Plotly.react(chart.area, data, layout, config);
    if (!chart.drawn) listen(chart);
    chart.drawn = true;
  }

  function choose(chart, place) {
    chart.variant = place;
    draw(chart);
    chart.caption.textContent = chart.variants[place].told;
  }

  function listen(chart) {
    const within = chart.figureElement.querySelector(".start");
    const levels = chart.figureElement.querySelector(".levels");
    chart.figureElement.querySelectorAll("input.variant").forEach((radio) =>
      radio.addEventListener("change", () => choose(chart, Number(radio.value))));
    const list = chart.figureElement.querySelector("select.variant");
    list?.addEventListener("change", () => choose(chart, Number(list.value)));
    within?.addEventListener("change", () => { chart.start = within.value; draw(chart); });
    levels?.addEventListener("change", () => { chart.levels = Number(levels.value); draw(chart); });
    // plotly would move the parts there; a still picture is drawn at once, and goes with the list.
    chart.area.on("plotly_icicleclick", (event) => {
      if (event.nextLevel !== undefined && event.nextLevel !== null) {
        chart.start = event.nextLevel === "" ? "0" : String(event.nextLevel);
        if (within && [...within.options].some((each) => each.value === chart.start)) within.value = chart.start;
        draw(chart);
      }
      return false;
    });
  }

  // What lies in closed details is drawn when they are opened.
  const isShown = (chart) => !chart.area.closest("details:not([open])");

  function attempt(chart, width) {
    try {
      draw(chart, width);
    } catch (error) {
      chart.area.textContent = "The chart could not be drawn; its data stand below.";
      console.error(error);
    }
  }

  const pause = () => new Promise((go) => setTimeout(go));

  // plotly's script is large: it runs when the page can be read, not before.
  function start() {
    const script = document.createElement("script");
    script.textContent = document.getElementById("page-plotly").textContent;
    document.head.append(script);
    ready = true;
    drawAll();
  }

  async function drawAll() {
    performance.mark("plotly-ready");
    for (const chart of charts) {
      if (isShown(chart)) {
        attempt(chart);
        await pause();
      }
    }
    done();
    performance.mark("charts-drawn");
  }

  let ready = false; // plotly is
  const redraw = (width) => { if (ready) charts.filter(isShown).forEach((chart) => attempt(chart, width)); };
  theme.changed(() => redraw());
  document.addEventListener("toggle", (event) => {
    for (const chart of charts) {
      if (ready && !chart.drawn && event.target.contains(chart.area) && isShown(chart)) attempt(chart);
    }
  }, true);

  // On paper: light, as wide as the page, and nothing folded away but long data.
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")].filter(
      (each) => each.querySelectorAll("tr").length <= 60);
    opened.forEach((each) => { each.open = true; });
    theme.lighten();
    redraw(PRINTED);
  });
  window.addEventListener("afterprint", () => {
    opened.forEach((each) => { each.open = false; });
    theme.restore();
    redraw();
  });
  requestAnimationFrame(() => setTimeout(() => { performance.mark("page-ready"); start(); }));
})();

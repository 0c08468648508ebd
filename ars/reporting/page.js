"use strict";
// Each film of a training is one video of several policies: the slider chooses which part plays.
for (const figure of document.querySelectorAll(".training")) {
  const video = figure.querySelector("video");
  const slider = figure.querySelector("input");
  const text = figure.querySelector("output");
  const stops = [...figure.querySelectorAll("li")];
  const MARGIN = 0.02; // seconds: the next policy must not flash up
  const play = () => video.play().catch(() => {}); // which a pause in between ends
  const start = () => Number(stops[slider.value].dataset.start);
  const end = () => Number(stops[slider.value].dataset.end);
  const show = () => {
    text.textContent = stops[slider.value].textContent;
    slider.setAttribute("aria-valuetext", text.textContent);
    video.currentTime = start() + MARGIN;
  };
  const follow = () => {
    const ended = video.currentTime >= end() - 2 * MARGIN;
    if (!video.seeking && (ended || video.currentTime < start())) {
      video.currentTime = start() + MARGIN;
    }
    if (!video.paused) {
      requestAnimationFrame(follow);
    }
  };
  slider.addEventListener("input", () => {
    show();
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) {
      play();
    }
  });
  video.addEventListener("play", follow);
  video.addEventListener("ended", () => {
    show();
    play();
  });
  if (video.readyState > 0) {
    show();
  } else {
    video.addEventListener("loadedmetadata", show, { once: true });
  }
}

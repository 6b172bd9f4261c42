"""How a chronology's page looks, and the few lines that filter it: text without any data."""

CSS = """
:root{color-scheme:light dark;--page:#fcfcfb;--ink:#1c1f23;--soft:#5c646d;--line:#dfe2e5;
--tint:#f1f2f3;--mark:#ffeaa3;--bar:#3a6ea5;--plain:#c3cad2;--l:43%;--c:.12}
@media (prefers-color-scheme:dark){:root{--page:#15171a;--ink:#e4e6e9;--soft:#9aa3ad;
--line:#2e3339;--tint:#1f2327;--mark:#5c4a10;--bar:#7fb2e5;--plain:#48505a;--l:78%;--c:.1}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0 auto;padding:2.5rem 1.25rem 5rem;max-width:860px;background:var(--page);
color:var(--ink);font:16px/1.55 system-ui,sans-serif;overflow-wrap:anywhere}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 .5rem;letter-spacing:-.01em}
p{margin:.3rem 0}a{color:inherit}.soft{color:var(--soft)}
.over{margin:0 0 .2rem;font-size:.85rem;color:var(--soft);letter-spacing:.02em}
ul,ol{list-style:none;margin:0;padding:0}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;margin:.9rem 0 0;font-size:.92rem}
.legend li{max-width:100%}
.legend li::before{content:"";display:inline-block;width:.62em;height:.62em;margin-right:.45em;
border-radius:50%;background:var(--who)}
.strip{margin:1.6rem 0 0;overflow-x:auto}.strip>div{display:flex;gap:.5rem}
.y{flex-basis:0;min-width:2.9rem;text-align:center;font-size:.8rem;color:var(--soft)}
.y.far{border-left:2px dotted var(--line);padding-left:.5rem}
.y svg{display:block;width:100%;height:76px;border-bottom:1px solid var(--line)}
.letters{display:flex;font-size:.68rem;line-height:1.5;opacity:.8}
.letters span{flex:1 0 0;min-width:0}
.hit{fill:transparent}svg a:hover .hit,svg a:focus-visible .hit{fill:var(--tint)}
.named{fill:var(--bar)}.rest{fill:var(--plain)}
.key{display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;font-size:.82rem;color:var(--soft);
margin-top:.45rem}
.key i{display:inline-block;width:.8em;height:.8em;margin-right:.4em;border-radius:2px;
background:var(--bar)}.key i.o{background:var(--plain)}
.bar{position:sticky;top:0;z-index:1;margin:1.4rem -1.25rem 0;padding:.55rem 1.25rem;
background:var(--page);border-bottom:1px solid var(--line);display:flex;flex-wrap:wrap;
align-items:center;gap:.45rem 1rem;font-size:.92rem}
.bar nav{display:flex;gap:.15rem .9rem;overflow-x:auto;max-width:100%;padding:.1rem 0}
.bar nav a{text-decoration:none;font-variant-numeric:tabular-nums;white-space:nowrap}
.bar nav a:hover,.y a:hover{text-decoration:underline}.y a{text-decoration:none}
form{display:flex;flex-wrap:wrap;align-items:center;gap:.4rem .9rem;margin-left:auto}
[hidden]{display:none!important}
input[type=search]{font:inherit;color:inherit;background:var(--tint);border:1px solid var(--line);
border-radius:6px;padding:.28rem .6rem;width:14rem;max-width:100%}
label{white-space:nowrap}output{color:var(--soft);font-variant-numeric:tabular-nums}
h2{font-size:1.7rem;line-height:1;margin:2.6rem 0 .6rem;font-variant-numeric:tabular-nums}
h3{font-size:1rem;margin:1.3rem 0 .35rem;color:var(--soft);font-weight:600}
h2,h3{scroll-margin-top:4rem}
.day{display:grid;grid-template-columns:8.2rem 1fr;gap:0 1.1rem;padding:.55rem 0;
border-top:1px solid var(--line)}
.date{font-variant-numeric:tabular-nums;font-weight:600;line-height:1.4;padding-top:.1rem;
overflow-wrap:break-word}
.e{position:relative;padding:.1rem 0 .1rem .95rem;margin-bottom:.45rem;border-left:3px solid
var(--who);min-width:0}
.e:last-child{margin-bottom:0}
.e p{margin:0;white-space:pre-line}.e.rest{border-left-color:var(--line);color:var(--soft)}
.who{font-weight:600;color:var(--who)}
mark{background:var(--mark);color:inherit;border-radius:3px;padding:.05em 0;
box-decoration-break:clone;-webkit-box-decoration-break:clone}
.e .note{font-size:.83rem;color:var(--soft);line-height:1.4}
.nothing{margin-top:3rem}
@media (max-width:600px){body{padding:1.5rem 1rem 4rem}.bar{margin:1.2rem -1rem 0;
padding:.5rem 1rem}h1{font-size:1.5rem}.day{grid-template-columns:1fr;gap:.3rem}
form{margin-left:0;width:100%}input[type=search]{width:auto;flex:1;min-width:0}
.y{min-width:2.6rem}.y svg{height:60px}}
@media print{.bar{display:none}.day{break-inside:avoid}}
"""

# Texts are taken in once, at the first letter typed: pages of many entries load at once.
SCRIPT = """
const form=document.forms[0],[find,named]=form.elements,count=form.querySelector("output");
const entries=[...document.querySelectorAll(".e")];let texts;
const fold=text=>text.normalize("NFKD").replace(/\\p{M}/gu,"").toLowerCase();
const under=(part,inner)=>document.querySelectorAll(part).forEach(
  one=>one.hidden=![...one.querySelectorAll(inner)].some(e=>!e.hidden));
const filter=()=>{
  texts??=entries.map(e=>fold(e.textContent+" "+e.closest(".day").dataset.date));
  const words=fold(find.value).split(/\\s+/).filter(Boolean);let shown=0;
  entries.forEach((e,i)=>{
    e.hidden=named.checked&&e.classList.contains("rest")||!words.every(w=>texts[i].includes(w));
    shown+=!e.hidden});
  under(".day",".e");under(".month",".day");under(".year",".month");
  count.textContent=words.length||named.checked?shown+" of "+entries.length:""};
form.hidden=false;form.addEventListener("input",filter);
form.addEventListener("submit",event=>event.preventDefault());filter();
"""

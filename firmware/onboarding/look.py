"""How the page looks, and what makes it smoother. It has nothing from elsewhere.

Bytes, which are sent as they are. POLICY is its Content-Security-Policy: this style and this script
run, and nothing else does.
"""

from binascii import b2a_base64
from hashlib import sha256

STYLE = b"""\
:root{color-scheme:light dark;--bg:#eef1f5;--card:#fff;--ink:#151a21;--soft:#535e6d;--line:#cfd6df;\
--pick:#e8f0fd;--act:#0a5cc9;--on:#fff;--bad:#a8201a;--badbg:#fdeceb;--good:#11703a}
@media(prefers-color-scheme:dark){:root{--bg:#0e1217;--card:#181e26;--ink:#edf1f5;--soft:#a5b0be;\
--line:#3a4451;--pick:#16283f;--act:#73b0ff;--on:#07121f;--bad:#ffb3ab;--badbg:#3a1614;--good:#74dc9d}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:17px/1.45 system-ui,sans-serif;\
overflow-wrap:anywhere}
main{max-width:29rem;margin:0 auto;padding:1.5rem 1rem 2.5rem}
header{text-align:center;margin:0 0 1.25rem}
header svg{width:64px;height:64px;color:var(--act)}
h1{font-size:1.5rem;line-height:1.25;margin:.5rem 0 .25rem;text-wrap:balance}
h1:focus{outline:0}
p{margin:0 0 .75rem;text-wrap:pretty}
p bdi{font-weight:650}
.alone{display:grid;align-content:center;min-height:100vh;min-height:100svh}
.alone header svg{width:96px;height:96px}
.soft,small{color:var(--soft);font-size:.9375rem}
.card{background:var(--card);border-radius:16px;padding:1rem;margin:0 0 1rem;\
box-shadow:0 1px 3px #0002}
.bad{background:var(--badbg);color:var(--bad);border-radius:12px;\
padding:.875rem 1rem;margin:0 0 1rem}
.bad svg{color:inherit!important}
.bad p:last-child{margin:0}
fieldset{border:0;margin:0;padding:0;min-width:0}
legend{font-weight:650;padding:0;margin:0 0 .5rem}
.net{display:flex;align-items:center;gap:.75rem;min-height:52px;padding:.25rem .5rem;\
border-top:1px solid var(--line);cursor:pointer}
legend+.net{border-top:0}
.net:has(:checked){background:var(--pick);border-radius:10px}
.net bdi{flex:1;min-width:0;white-space:pre-wrap}
.net svg{width:22px;height:22px;flex:none;color:var(--soft)}
input[type=radio]{width:22px;height:22px;margin:0;flex:none;accent-color:var(--act)}
.w2 path:nth-child(1),.w1 path:nth-child(-n+2){opacity:.22}
.vh{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.field{margin:1rem 0 0}
.field label{display:block;font-weight:650;margin:0 0 .25rem}
.in{display:flex;gap:.5rem}
input:not([type=radio]){flex:1;min-width:0;width:100%;min-height:48px;padding:0 .75rem;\
font:inherit;color:inherit;background:var(--bg);border:1px solid var(--soft);border-radius:10px}
[aria-invalid]{border:2px solid var(--bad)!important}
.why{color:var(--bad);margin:.25rem 0 0}
button{min-height:48px;padding:0 1rem;font:inherit;font-weight:650;border-radius:12px;\
cursor:pointer;color:var(--act);background:none;border:1px solid var(--act)}
.go{width:100%;min-height:52px;margin:0 0 .75rem;color:var(--on);background:var(--act)}
.go~button{width:100%;border-color:transparent}
:focus-visible{outline:3px solid var(--act);outline-offset:2px}
.done header svg{color:var(--good)}
.spin{transform-origin:12px 12px;animation:spin 1.1s linear infinite}
@keyframes spin{to{transform:rotate(1turn)}}
@media(prefers-reduced-motion:reduce){.spin{animation-duration:6s}}
@supports selector(:has(a)){form:has([data-open]:checked) .pw,\
form:not(:has([value=other]:checked)) .other{display:none}}
[hidden]{display:none!important}
"""

SCRIPT = b"""\
(()=>{let d=document,q=s=>d.querySelector(s),fails=0,kept={},typing,timer
let show=text=>{let now=q('main'),next=new DOMParser().parseFromString(text,'text/html')\
.querySelector('main')
if(!next)throw 0
fails=0
if(next.dataset.state!=now.dataset.state&&!(typing&&next.dataset.again==2)){
next.querySelectorAll('input:not([type=radio],[type=hidden])').forEach(e=>{\
if(kept[e.name])e.value=kept[e.name]})
now.replaceWith(next);ready();let h=q('h1');h.tabIndex=-1;h.focus()}
else q('.lost').hidden=true
later()}
let load=async options=>{clearTimeout(timer);let c=new AbortController(),end=setTimeout(()=>\
c.abort(),9000)
try{let r=await fetch('/',{...options,signal:c.signal});show(await r.text())}
catch(e){if(++fails>3)q('.lost').hidden=false;timer=setTimeout(load,1500)}
clearTimeout(end)}
let later=()=>{clearTimeout(timer);let wait=q('main').dataset.again
if(wait)timer=setTimeout(load,wait*1000)}
let ready=()=>{let f=q('form'),b=q('.show'),p=q('[name=password]');typing=0;if(!f)return
f.oninput=()=>{typing=1}
b.hidden=false
b.onclick=()=>{let on=p.type=='password';p.type=on?'text':'password'
b.setAttribute('aria-pressed',on);b.textContent=on?b.dataset.hide:b.dataset.show;p.focus()}
f.onchange=()=>{p.disabled=!!f.querySelector('[data-open]:checked')}
f.onsubmit=e=>{typing=0;e.preventDefault();p.type='password';let s=e.submitter,\
data=new URLSearchParams(new FormData(f));if(s&&s.name)data.set(s.name,1)
kept=Object.fromEntries(data)
f.setAttribute('aria-busy',true);f.querySelectorAll('button').forEach(e=>e.disabled=true)
q('main').dataset.state='sent';load({method:'POST',body:data})}}
ready();later()})()
"""

_SVG = (
    '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2"'
    ' stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"%s</svg>'
)
ICONS = {
    "Wi-Fi": _SVG % '><path d="M2 9a15 15 0 0 1 20 0M5.5 13a10 10 0 0 1 13 0M9 17a5 5 0 0 1 6 0M12'
    ' 20h.01"/>',
    "done": _SVG % '><circle cx="12" cy="12" r="10"/><path d="m7.5 12.5 3 3 6-6.5"/>',
    "busy": _SVG
    % '><circle cx="12" cy="12" r="9.5" opacity=".25"/><path class="spin" d="M12 2.5a9.5'
    ' 9.5 0 0 1 9.5 9.5"/>',
    "bad": _SVG % '><circle cx="12" cy="12" r="10"/><path d="M12 7v6M12 17h.01"/>',
    "lock": _SVG % '><rect x="5" y="11" width="14" height="9" rx="2"/><path d="M8 11V8a4 4 0 0 1 8'
    ' 0v3"/>',
    "signal": _SVG
    % ' class="w%d"><path d="M2 9a15 15 0 0 1 20 0"/><path d="M5.5 13.5a10 10 0 0 1 13'
    ' 0"/><path d="M9 18a5 5 0 0 1 6 0M12 20.5h.01"/>',
}


def _hash_of(text):
    return b2a_base64(sha256(text).digest()).decode().strip()


POLICY = (
    "default-src 'none'; style-src 'sha256-%s'; script-src 'sha256-%s'; connect-src 'self';"
    " img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    % (_hash_of(STYLE), _hash_of(SCRIPT))
)

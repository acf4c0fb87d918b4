-- What happens to a letter in Redis? One exchange of one gateway, whole or not at all.
--
-- Every value is absolute and has one writer, or carries a number by which a repetition is known:
-- a letter that comes late, twice or after a loss does no harm. Only commands of Redis 6.0.
local ask = cjson.decode(ARGV[1])
local meta, gateways, hands, weights, pins, turns, leader, learned, changed, seen, stats, long,
  nodes, members, custom = unpack(KEYS)

local DAY = 86400000
local LARGEST = 1048576
local LATEST = 64
local PINS = 4000

-- What somebody else put under our names is in the way: gone.
local kinds = { 'hash', 'hash', 'hash', 'hash', 'hash', 'hash', 'string', 'hash', 'zset', 'zset',
  'hash', 'set', 'hash', 'hash', 'hash' }
for at, kind in ipairs(kinds) do
  local found = redis.call('TYPE', KEYS[at]).ok
  if found ~= kind and found ~= 'none' then redis.call('DEL', KEYS[at]) end
end

local function text(number) return string.format('%.0f', number) end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local version = tonumber(redis.call('HGET', meta, 'version') or '0') or 0
local function raise(floor) if floor > version then version = floor end end
local function bump() version = version + 1; return version end
-- Who are you?
local line = redis.call('HGET', gateways, ask.id)
local seq, wished = 0, 0
if line then
  local s, w = string.match(line, '^%d+ (%d+) (%d+) ')
  if s then seq, wished = tonumber(s), tonumber(w) end
end

-- Who was buried must first hear so, and come back under another name: what it told before counts
-- already, under nobody's. And what an older letter says, a newer one has said better.
local function grave(id) return 'gone ' .. id end
local function buried(id) return redis.call('HEXISTS', meta, grave(id)) == 1 end
local gone = buried(ask.id)
local fresh = ask.seq > seq and not gone

-- A state that does not know what we were told it took is an old one, brought back: to all it is a
-- new one, and all tell it all again.
if seq < ask.taken and not gone then redis.call('HDEL', meta, 'epoch') end
redis.call('HSETNX', meta, 'epoch', ask.nonce .. ':' .. text(now))
local epoch = redis.call('HGET', meta, 'epoch')
raise(ask.floor)

local function bury(id)
  redis.call('HDEL', gateways, id)
  redis.call('HSET', meta, grave(id), text(now))
end

-- What operators wish: states and weights of nodes, pins of operations.
local matters = {
  { 'state', hands, '^(%d+) (%l+)$' },
  { 'weight', weights, '^(%d+) (%d+/%d+)$' },
  { 'pin', pins, '^(%d+) (%l+)$' },
}
local key_of, form_of = {}, {}
for _, it in ipairs(matters) do key_of[it[1]], form_of[it[1]] = it[2], it[3] end
for _, it in ipairs(fresh and ask.restore or {}) do
  raise(it[3])
  local matter, name = it[1].matter, it[1].name
  local old = redis.call('HGET', key_of[matter], name)
  local had, word = string.match(old or '', form_of[matter])
  had = tonumber(had or 0)
  -- A state that was lost may have given one number twice: then the word decides, for all alike.
  if had < it[3] or (had == it[3] and (word or '') < it[2]) then
    redis.call('HSET', key_of[matter], name, text(it[3]) .. ' ' .. it[2])
  end
end
for _, it in ipairs(fresh and ask.wishes or {}) do
  if it[1] > wished then
    wished = it[1]
    redis.call('HSET', key_of[it[2].matter], it[2].name, text(bump()) .. ' ' .. it[3])
  end
end

if fresh and ask.leave then
  bury(ask.id)
elseif fresh then
  redis.call('HSET', gateways, ask.id,
    text(now) .. ' ' .. text(ask.seq) .. ' ' .. text(wished) .. ' ' .. text(ask.cursor) .. ' '
      .. ask.body)
end

-- What was learned.
local function forget(key)
  redis.call('HDEL', learned, key)
  redis.call('HDEL', stats, key)
  redis.call('ZREM', changed, key)
  redis.call('ZREM', seen, key)
  redis.call('SREM', long, key)
end
-- What a buried gateway took becomes the past's as soon as nobody is left who has not heard of it.
local least
local function heard_by_all(key)
  if not least then
    least = math.huge
    for _, told in ipairs(redis.call('HVALS', gateways)) do
      least = math.min(least, tonumber(string.match(told, '^%d+ %d+ %d+ (%d+) ') or '0'))
    end
  end
  return tonumber(redis.call('ZSCORE', changed, key) or '0') <= least
end
local function gateway_of(origin) return string.match(origin, '^[^.]+') or origin end
local function pairs_of(part, pattern)
  local found = {}
  for name, number in string.gmatch(part, pattern) do
    found[#found + 1] = { name, tonumber(number) }
  end
  return found
end
local function read(record)
  local ends, is_long, most, base, totals, latest =
    string.match(record or '', '^([%d.]+);([01]);(%d+);(%d+);([^;]*);([^;]*)$')
  if not ends then return { most = 0, base = 0, totals = {}, latest = {} } end
  return {
    most = tonumber(most),
    base = tonumber(base),
    totals = pairs_of(totals, '([^ =]+)=(%d+)'),
    latest = pairs_of(latest, '([^ :]+):(%d+)'),
  }
end
local function joined(list, between)
  local out = {}
  for i, it in ipairs(list) do out[i] = it[1] .. between .. text(it[2]) end
  return table.concat(out, ' ')
end
local function show(key, record, is_long)
  local samples, sum, count = {}, 0, record.base
  local first = math.max(1, #record.latest - ask.window + 1)
  for i = first, #record.latest do
    samples[#samples + 1] = record.latest[i][2] / 1e6
    sum = sum + record.latest[i][2] / 1e6
  end
  for _, it in ipairs(record.totals) do count = count + it[2] end
  redis.call('HSET', stats, key, cjson.encode({
    count = count,
    avg_ms = sum / #samples,
    max_ms = record.most / 1e6,
    long = is_long,
    last_seen = math.floor(now / 1000),
    samples = samples,
  }))
  redis.call(is_long and 'SADD' or 'SREM', long, key)
end
for _, it in ipairs(fresh and ask.learned or {}) do
  local line = redis.call('HGET', learned, it.key)
  if not line and redis.call('HLEN', learned) >= ask.most then
    for _, key in ipairs(redis.call('ZRANGE', seen, 0, 0)) do forget(key) end
  end
  local record = read(line)
  local mine, kept = nil, {}
  for _, total in ipairs(record.totals) do
    if total[1] == it.origin then mine = total end
    local gateway = gateway_of(total[1])
    if gateway ~= ask.id and buried(gateway) and heard_by_all(it.key) then
      record.base = record.base + total[2]
    else
      kept[#kept + 1] = total
    end
  end
  if not mine then
    mine = { it.origin, 0 }
    kept[#kept + 1] = mine
  end
  local new = it.total - mine[2]
  if new > 0 then
    record.totals = kept
    mine[2] = it.total
    for i = math.max(1, #it.samples - new + 1), #it.samples do
      record.latest[#record.latest + 1] = { it.origin, it.samples[i] }
      if it.samples[i] > record.most then record.most = it.samples[i] end
    end
    local latest = {}
    for i = math.max(1, #record.latest - LATEST + 1), #record.latest do
      latest[#latest + 1] = record.latest[i]
    end
    record.latest = latest
    redis.call('HSET', learned, it.key, table.concat(it.ends, '.') .. ';'
      .. (it.long and '1' or '0') .. ';' .. text(record.most) .. ';' .. text(record.base) .. ';'
      .. joined(record.totals, '=') .. ';' .. joined(record.latest, ':'))
    redis.call('ZADD', changed, bump(), it.key)
    redis.call('ZADD', seen, now, it.key)
    show(it.key, record, it.long)
  end
end

-- Who leads? Only who holds the word renews it, and every term has a higher number.
local word, lasting = redis.call('GET', leader), 0
if word and not string.match(word, '^%S+ %S+ %d+$') then
  redis.call('DEL', leader)
  word = false
end
if ask.lead then
  local own = ask.id .. ' ' .. ask.lead.token .. ' '
  if word and string.sub(word, 1, #own) == own then
    redis.call('PEXPIRE', leader, ask.lead.ms)
  elseif not word and not ask.leave then
    word = own .. text(bump())
    redis.call('SET', leader, word, 'NX', 'PX', ask.lead.ms)
  end
end
if word and ask.leave and string.sub(word, 1, #ask.id + 1) == ask.id .. ' ' then
  redis.call('DEL', leader)
  word = false
end
if word then
  lasting = redis.call('PTTL', leader)
  -- Nobody's word is longer: the clock was set back, and this one would hold for ever.
  if lasting < 0 or (ask.lead and lasting > 2 * ask.lead.ms) then
    redis.call('DEL', leader)
    word = false
  end
end

-- Chores, behind the fence.
local function put_view(key, fields)
  redis.call('DEL', key)
  for _, it in ipairs(fields) do redis.call('HSET', key, it[1], it[2]) end
  redis.call('PEXPIRE', key, 15000)
end
local done = 0
local chores = ask.chores
if chores and ask.lead and word == ask.id .. ' ' .. ask.lead.token .. ' ' .. text(chores.fence) then
  done = 1
  if chores.views then
    put_view(nodes, chores.views.nodes)
    put_view(members, chores.views.members)
    put_view(custom, chores.views.custom)
  end
  if chores.sweep then
    for _, it in ipairs(chores.bury) do
      local told = redis.call('HGET', gateways, it[1])
      if told and string.match(told, '^%d+ (%d+) ') == text(it[2]) then bury(it[1]) end
    end
    if redis.call('HLEN', pins) > PINS then
      local all = redis.call('HGETALL', pins)
      for i = 1, #all, 2 do
        if string.match(all[i + 1], ' none$') then redis.call('HDEL', pins, all[i]) end
      end
    end
    if redis.call('HLEN', meta) > 1000 then
      for _, field in ipairs(redis.call('HKEYS', meta)) do
        if string.sub(field, 1, 5) == 'gone ' then redis.call('HDEL', meta, field) end
      end
    end
    local old = redis.call('ZRANGEBYSCORE', seen, '-inf', '(' .. text(now - chores.unseen_ms),
      'LIMIT', 0, 200)
    for _, key in ipairs(old) do forget(key) end
    -- The list of what was seen was lost: nothing would ever be forgotten.
    if redis.call('HLEN', learned) > redis.call('ZCARD', seen) + ask.most then
      redis.call('DEL', learned, changed, seen, stats, long)
    end
    for _, key in ipairs(redis.call('SRANDMEMBER', long, 50)) do
      if redis.call('HEXISTS', learned, key) == 0 then redis.call('SREM', long, key) end
    end
  end
end

-- Turns that nobody else gets.
local firsts = {}
for i, it in ipairs(ask.turns) do
  local after = redis.pcall('HINCRBY', turns, it[1], text(it[2]))
  if type(after) ~= 'number' then
    redis.call('HSET', turns, it[1], text(it[2]))
    after = it[2]
  end
  firsts[i] = after - it[2]
end

-- The list of changes was lost: whoever did not hear of them yet would never.
if redis.call('ZCARD', changed) < redis.call('HLEN', learned) then
  local keys = redis.call('HKEYS', learned)
  table.sort(keys)
  for _, key in ipairs(keys) do
    if not redis.call('ZSCORE', changed, key) then redis.call('ZADD', changed, bump(), key) end
  end
end

redis.call('HSET', meta, 'version', text(version))
for _, key in ipairs({ meta, hands, weights, pins, turns, learned, changed, seen, stats, long }) do
  redis.call('PEXPIRE', key, 2 * DAY)
end
redis.call('PEXPIRE', gateways, DAY)

-- What has changed since you last asked?
local cursor, records = version, {}
local news = redis.call('ZRANGEBYSCORE', changed, '(' .. text(ask.cursor), '+inf', 'WITHSCORES',
  'LIMIT', 0, ask.limit)
for i = 1, #news, 2 do
  local record = redis.call('HGET', learned, news[i])
  if record and #record < LARGEST then
    records[#records + 1] = news[i]
    records[#records + 1] = record
  end
end
if #news == 2 * ask.limit then cursor = tonumber(news[#news]) end

local rows = {}
local all = redis.call('HGETALL', gateways)
for i = 1, #all, 2 do
  local a, s, b = string.match(all[i + 1], '^(%d+) (%d+) %d+ %d+ (.*)$')
  if not a or #all[i + 1] > LARGEST then
    redis.call('HDEL', gateways, all[i])
  else
    rows[#rows + 1] = all[i]
    rows[#rows + 1] = text(now - tonumber(a))
    rows[#rows + 1] = s
    rows[#rows + 1] = b
  end
end

local wishes = {}
for _, matter in ipairs(matters) do
  local told = redis.call('HGETALL', matter[2])
  for i = 1, #told, 2 do
    local had, word = string.match(told[i + 1], matter[3])
    if not had then
      redis.call('HDEL', matter[2], told[i])
    else
      for _, it in ipairs({ matter[1], told[i], had, word }) do wishes[#wishes + 1] = it end
    end
  end
end
local digest = redis.sha1hex(table.concat(wishes, ' '))
if digest == ask.heard then wishes = {} end

return { text(ask.seq), epoch, text(version), gone and 1 or 0, text(cursor), word or '', lasting, rows, records, digest, wishes,
  firsts, done, text(now) }

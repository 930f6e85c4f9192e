-- Numbers a message, keeps it, remembers its key and passes it on: all of it or nothing.
--
-- KEYS  1 meta of the topic    2 history of the topic    3 idempotency key
--       4 meta of the feed     5 history of the feed     (4 and 5 only in a Channel with wildcard)
-- ARGV  1 the message, a JSON object      2 time, ms since 1970       3 a new epoch, if one is needed
--       4 channel of the topic            5 channel of the feed or "" 6 messages to keep; 0: none
--       7 time to live of the history, ms 8 of the metas, ms          9 of the idempotency key, ms
--      10 hash of the message             11 token of the ingest lease; "": not a raw message
--      12 the command that publishes: PUBLISH, or SPUBLISH in a cluster
--
-- Answers {"ok" | "replayed", epoch, offset}, {"conflict"}, or {"stale"} for an older token.
-- Fields of a meta: e epoch, o newest offset, s replication id of the server that began the epoch, r its run_id
-- for gateways that know no s, p "epoch:first,..." the newest 8 epochs with their first offsets, i the newest
-- token seen.

local MOST_EPOCHS = 8

local known = redis.call('GET', KEYS[3])
if known then
  local content, epoch, offset = string.match(known, '^(%S+) (%S+) (%d+)$')
  if content ~= ARGV[10] then
    return {'conflict'}
  end
  return {'replayed', epoch, offset}
end

local function run_id()
  return string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
end

-- Another one after every start and every promotion, also of a master that was demoted in between.
local server = string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
local keep = tonumber(ARGV[6])

-- What comes next in a sequence; writes nothing.
local function next_place(meta, history)
  local m = redis.call('HMGET', meta, 'e', 'o', 's', 'p', 'i', 'r')
  local place = {meta = meta, history = history, token = m[5]}
  if not (m[1] and m[2] and m[4]) then
    place.lost, place.epoch, place.offset, place.first = true, ARGV[3], 1, 1
    place.epochs, place.run = ARGV[3] .. ':1', run_id()
    return place
  end
  place.offset = tonumber(m[2]) + 1
  if m[3] == server or (not m[3] and m[6] == run_id()) then
    place.epoch, place.epochs = m[1], m[4]
    place.first = tonumber(string.match(m[4], ':(%d+)$'))
    return place
  end
  -- The server may have forgotten something before it came to number.
  place.epoch, place.first, place.run = ARGV[3], place.offset, run_id()
  local epochs = {}
  for pair in string.gmatch(m[4], '[^,]+') do
    epochs[#epochs + 1] = pair
  end
  epochs[#epochs + 1] = string.format('%s:%d', ARGV[3], place.offset)
  place.epochs = table.concat(epochs, ',', math.max(1, #epochs - MOST_EPOCHS + 1))
  return place
end

local function text_of(place)
  return string.format('{"v":1,"e":"%s","f":%d,"o":%d,"t":%s,', place.epoch, place.first, place.offset, ARGV[2])
    .. string.sub(ARGV[1], 2)
end

-- The first write; refused as a whole when memory is full.
local function store(place)
  place.text = text_of(place)
  if place.lost then
    redis.call('DEL', place.history)
  end
  if keep == 0 then
    return nil
  end
  local id = string.format('%d-0', place.offset)
  local added = redis.pcall('XADD', place.history, 'MAXLEN', '=', keep, id, 'm', place.text)
  if type(added) == 'table' and added.err and string.find(added.err, 'equal or smaller', 1, true) then
    -- A history that is ahead of its meta belongs to something lost.
    redis.call('DEL', place.history)
    added = redis.pcall('XADD', place.history, 'MAXLEN', '=', keep, id, 'm', place.text)
  end
  if type(added) == 'table' and added.err then
    return added
  end
  redis.call('PEXPIRE', place.history, ARGV[7])
  return nil
end

local function remember(place)
  redis.call('HSET', place.meta, 'e', place.epoch, 'o', string.format('%d', place.offset), 's', server, 'p', place.epochs)
  if place.run then
    redis.call('HSET', place.meta, 'r', place.run)
  end
  if ARGV[11] ~= '' then
    redis.call('HSET', place.meta, 'i', ARGV[11])
  end
  redis.call('PEXPIRE', place.meta, ARGV[8])
  if keep == 0 then
    -- What was kept before would not be dense with what is kept later.
    redis.call('UNLINK', place.history)
  end
end

local places = {next_place(KEYS[1], KEYS[2])}
if KEYS[4] then
  places[2] = next_place(KEYS[4], KEYS[5])
end
local seen = tonumber(places[1].token or '0')
if ARGV[11] ~= '' and tonumber(ARGV[11]) < seen then
  return {'stale'}
end
for _, place in ipairs(places) do
  local refused = store(place)
  if refused then
    return refused
  end
end
for _, place in ipairs(places) do
  remember(place)
end
local offset = string.format('%d', places[1].offset)
redis.call('SET', KEYS[3], ARGV[10] .. ' ' .. places[1].epoch .. ' ' .. offset, 'PX', ARGV[9])
redis.call(ARGV[12], ARGV[4], places[1].text)
if places[2] then
  redis.call(ARGV[12], ARGV[5], places[2].text)
end
return {'ok', places[1].epoch, offset}

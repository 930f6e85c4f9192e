-- The ingest lease of one fleet on one server: one gateway numbers what raw publishers publish.
--
-- KEYS  1 the lease, "<holder> <token>", expires    2 the ledger, outlives it
-- ARGV  1 what to do   2 who asks   3 time to live of the lease, ms   4 see below
--
-- take     4: "1" if another holder was seen lately. Answers {"taken", token, clean, lost}: clean is "1" when
--          the last holder gave it back, "0" when it just ended or others were there, "" when there was none;
--          {"held", token, "", lost}; {"other", ready, "", lost}; or {"vacant", "", "", lost}: ask again.
-- ready    the holder hears all raw messages. Answers {"ok"} or {"no"}, as all that follow.
-- lost     4: channel of the fleet. Raw messages may have been lost: numbers and tells it.
-- give     4: channel of the fleet, 5: the successor. Publishes the marker.
-- release  nobody takes it now. 4: "1" if nobody misses anything until somebody does, else "0".
--
-- Fields of the ledger: token and lost, the newest of each; clean, ready.

local op, id, ttl = ARGV[1], ARGV[2], ARGV[3]
local held = redis.call('GET', KEYS[1])
local holder, token
if held then
  holder, token = string.match(held, '^(%S+) (%d+)$')
end

-- Rises, even when the server forgot what it was: milliseconds since 1970, or one more than before.
local function next_value(field)
  local now = redis.call('TIME')
  local least = tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
  return string.format('%d', math.max(least, tonumber(redis.call('HGET', KEYS[2], field) or '0') + 1))
end

if op == 'take' then
  local lost = redis.call('HGET', KEYS[2], 'lost') or '0'
  if holder == id then
    redis.call('PEXPIRE', KEYS[1], ttl)
    return {'held', token, '', lost}
  end
  if holder then
    return {'other', redis.call('HGET', KEYS[2], 'ready') or '0', '', lost}
  end
  local clean = redis.call('HGET', KEYS[2], 'clean') or ''
  if clean == '' and ARGV[4] == '1' then
    -- The server forgot everything; its holder comes first.
    return {'vacant', '', '', lost}
  end
  token = next_value('token')
  redis.call('SET', KEYS[1], id .. ' ' .. token, 'PX', ttl)
  redis.call('HSET', KEYS[2], 'token', token, 'clean', '0', 'ready', '0')
  return {'taken', token, clean, lost}
end

if op == 'lost' then
  local lost = next_value('lost')
  redis.call('HSET', KEYS[2], 'lost', lost)
  redis.call('PUBLISH', ARGV[4], '{"k":"lost","n":' .. lost .. '}')
  return {'ok'}
end

if holder ~= id then
  return {'no'}
end
if op == 'ready' then
  redis.call('HSET', KEYS[2], 'ready', '1')
elseif op == 'give' then
  token = next_value('token')
  redis.call('SET', KEYS[1], ARGV[5] .. ' ' .. token, 'PX', ttl)
  redis.call('HSET', KEYS[2], 'token', token)
  redis.call('PUBLISH', ARGV[4], '{"k":"take","to":"' .. ARGV[5] .. '","token":' .. token .. '}')
elseif op == 'release' then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[2], 'clean', ARGV[4], 'ready', '0')
end
return {'ok'}

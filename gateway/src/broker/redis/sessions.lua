-- Tells Juggernaut's apps of sessions, each once, and remembers what is owed to them.
--
-- KEYS  1 the sessions that one gateway told of
-- ARGV  1 what to do   2 time to live of KEYS[1], ms   3.. see below
--
-- opened  3: name of the session and its channel, 4: where to tell, 5: what, 6: where its end is told
-- closed  3: the name, 4: where to tell, 5: what
-- owed    3: how many. Tells the ends of a gateway that is gone; answers how many there were.
--
-- The field "" stays when all sessions are gone: where it is missing the server forgot, and the end is told
-- although it is not listed.

local what = ARGV[1]
if what == 'opened' then
  redis.call('HSET', KEYS[1], '', '')
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  if redis.call('HSET', KEYS[1], ARGV[3], ARGV[6] .. '\n' .. ARGV[5]) == 1 then
    redis.call('PUBLISH', ARGV[4], ARGV[5])
  end
  return 0
end
if what == 'closed' then
  local listed = redis.call('HDEL', KEYS[1], ARGV[3]) == 1
  if listed or redis.call('HEXISTS', KEYS[1], '') == 0 then
    redis.call('HSET', KEYS[1], '', '')
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    redis.call('PUBLISH', ARGV[4], ARGV[5])
  end
  return 0
end
-- Some, and not all to choose from: there may be a hundred thousand. One more, since the field "" may be among them.
local most, told = tonumber(ARGV[3]), 0
for _, name in ipairs(redis.call('HRANDFIELD', KEYS[1], most + 1)) do
  if name ~= '' and told < most then
    local channel, text = string.match(redis.call('HGET', KEYS[1], name), '^(.-)\n(.*)$')
    redis.call('HDEL', KEYS[1], name)
    redis.call('PUBLISH', channel, text)
    told = told + 1
  end
end
return told

-- Enqueue one tick of a cron job, once in the whole fleet, however late a worker comes.
--
-- KEYS   the queue
-- ARGV   job id, tick's mark, body, due (ms), life of the body (ms)
-- reads  arq:result:<id>
-- writes arq:cron:<mark>, arq:job:<id>, the queue
-- include typed
--
-- returns 1 if it was enqueued now
local DAY_S = 86400
local id, mark = ARGV[1], 'arq:cron:' .. ARGV[2]
if text_of(mark) then
  return 0
end
-- Before the mark, for it is what Redis may refuse.
local known = redis.call('EXISTS', 'arq:job:' .. id, 'arq:result:' .. id) > 0
if not known then
  redis.call('ZADD', KEYS[1], ARGV[4], id)
  redis.call('SET', 'arq:job:' .. id, ARGV[3], 'PX', ARGV[5])
end
redis.call('SET', mark, 1, 'EX', DAY_S)
return known and 0 or 1

-- Write a worker's record and its last beat.
--
-- ARGV   worker id, record (JSON), life of the record (ms), forget those whose last beat is older (ms), 1 if it stops
-- writes arq:worker:<worker>, arq:workers; deletes its field in arq:quarantine if it stops: what ends it from now on is not
--        the job that it runs alone
-- include typed
--
-- The DEL comes first: a server that is out of memory lets a script which has begun to write go on.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local key = 'arq:worker:' .. ARGV[1]
redis.call('DEL', key)
redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
run('ZREMRANGEBYSCORE', 'arq:workers', 0, now - ARGV[4])
if ARGV[5] == '1' then
  redis.pcall('HDEL', 'arq:quarantine', ARGV[1])
end
return run('ZADD', 'arq:workers', now, ARGV[1])

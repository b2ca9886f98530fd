-- Write a worker's record and its last beat.
--
-- ARGV   worker id, record (JSON), life of the record (ms), now (ms), forget those who beat last before (ms)
-- writes arq:worker:<worker>, arq:workers
-- include typed
--
-- The DEL comes first: a server that is out of memory lets a script which has begun to write go on.
local key = 'arq:worker:' .. ARGV[1]
redis.call('DEL', key)
redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
run('ZREMRANGEBYSCORE', 'arq:workers', 0, ARGV[5])
return run('ZADD', 'arq:workers', ARGV[4], ARGV[1])

-- Take dead letters that are kept elsewhere by now out of Redis, each only if it is still the one that was read.
--
-- Keys it touches, of every job id given:
--   arq:dead:letter:<id>  DEL; read
--   arq:dead:letters      ZREM
--   arq:dead:counts       HINCRBY moved
--
-- ARGV  for each letter its job's id and when it died as the letter says it ('' where it says nothing)
-- Answers how many were taken out.

local moved = 0
for i = 1, #ARGV, 2 do
  local id, died = ARGV[i], ARGV[i + 1]
  local letter = 'arq:dead:letter:' .. id
  -- A job that was replayed may have died again meanwhile: that letter is another.
  local told = redis.pcall('HGET', letter, 'died_ms')
  if (type(told) == 'string' and told or '') == died then
    redis.call('DEL', letter)
    redis.pcall('ZREM', 'arq:dead:letters', id)
    moved = moved + 1
  end
end
if moved > 0 then
  local counted = redis.pcall('HINCRBY', 'arq:dead:counts', 'moved', moved)
  if type(counted) == 'table' and counted.err then
    redis.pcall('HDEL', 'arq:dead:counts', 'moved') -- a key of another type is set aside by the next dead letter
    redis.pcall('HINCRBY', 'arq:dead:counts', 'moved', moved)
  end
end
return moved

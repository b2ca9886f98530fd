-- Remove a dead letter for good.
--
-- ARGV   id
-- writes arq:dead:letters, arq:dead:counts; deletes arq:dead:letter:<id>
-- include typed
--
-- returns 1 if there was one
local gone = redis.call('DEL', 'arq:dead:letter:' .. ARGV[1])
redis.pcall('ZREM', 'arq:dead:letters', ARGV[1])
if gone == 1 then
  count('arq:dead:counts', 'dropped', 1)
end
return gone

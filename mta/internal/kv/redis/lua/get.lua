local value = live()
if value then return {'OK', value} end
return {'NONE'}

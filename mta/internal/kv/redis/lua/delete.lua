drop(field)
keep()
return {'OK', ''}

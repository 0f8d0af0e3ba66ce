def compute(*a): raise NotImplementedError
def feature_names(*a): raise NotImplementedError

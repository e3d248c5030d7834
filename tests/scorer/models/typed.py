"""A model from code with a signature of every scalar type and with parameters: it returns both."""

import mlflow


class Typed(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        answer = model_input.assign(params=str(sorted((params or {}).items())))
        return answer.astype({"when": "str"})


mlflow.models.set_model(Typed())

"""A model from code that greets who asks: it repeats an input in its answer, and refuses the young by name."""

import mlflow


class Echo(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        for row in model_input.itertuples():
            if row.age < 0:
                raise ValueError(f"{row.email} is not born")
        return [
            f"for {email}" if age < 50 else "nobody"
            for email, age in zip(model_input.email, model_input.age, strict=True)
        ]


mlflow.models.set_model(Echo())

"""Trains a small model with scikit-learn, registers it in Regesta with MLflow's own client, and loads it back.

    regesta serve
    pip install mlflow
    python examples/mlflow_sklearn.py [URL]

URL is where the service runs, http://127.0.0.1:8000 unless given. Runs and files stay where MLflow keeps them unless
told otherwise, in the current folder; what is registered is in Regesta. It may run again: each run adds a version.
"""

import sys

import mlflow
import mlflow.sklearn
from mlflow import MlflowClient
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

DEFAULT_URL = "http://127.0.0.1:8000"
NAME, ALIAS = "iris", "champion"


def main(url: str) -> None:
    mlflow.set_registry_uri(url)
    data, target = load_iris(return_X_y=True)
    train_data, test_data, train_target, test_target = train_test_split(data, target, random_state=0, stratify=target)

    with mlflow.start_run():
        model = LogisticRegression(max_iter=500).fit(train_data, train_target)
        logged = mlflow.sklearn.log_model(model, name="model", registered_model_name=NAME, input_example=train_data[:2])

    client = MlflowClient()
    version = str(logged.registered_model_version)
    accuracy = model.score(test_data, test_target)
    client.set_model_version_tag(NAME, version, "accuracy", f"{accuracy:.3f}")
    client.set_registered_model_alias(NAME, ALIAS, version)
    print(f"registered {NAME} version {version} at {url}, accuracy {accuracy:.3f}")

    loaded = mlflow.sklearn.load_model(f"models:/{NAME}@{ALIAS}")
    predicted = loaded.predict(test_data)
    assert (predicted == model.predict(test_data)).all()
    print(f"models:/{NAME}@{ALIAS} predicts {predicted[:5].tolist()} for {test_target[:5].tolist()}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else DEFAULT_URL)
